"""The configuration: one TOML file, overridden by environment variables, as frozen values.

A key `section.key` is overridden by `IMAP_GATEWAY_SECTION__KEY`; lists are given there as JSON.
"""

from gateway.config.loading import ENVIRONMENT_PREFIX, ConfigError, load, read_secret
from gateway.config.model import (
    AccountConfig,
    CacheConfig,
    Config,
    ImapConfig,
    LimitsConfig,
    ListenerConfig,
    LogConfig,
    MetricsConfig,
    OAuthConfig,
    SearchConfig,
    SecretsConfig,
    StoreConfig,
    SyncConfig,
    TlsConfig,
    UserConfig,
    check_account_name,
    check_login,
    section_models,
    split_address,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "AccountConfig",
    "CacheConfig",
    "Config",
    "ConfigError",
    "ImapConfig",
    "LimitsConfig",
    "ListenerConfig",
    "LogConfig",
    "MetricsConfig",
    "OAuthConfig",
    "SearchConfig",
    "SecretsConfig",
    "StoreConfig",
    "SyncConfig",
    "TlsConfig",
    "UserConfig",
    "check_account_name",
    "check_login",
    "load",
    "read_secret",
    "section_models",
    "split_address",
]
