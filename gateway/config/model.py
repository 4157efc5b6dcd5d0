"""The configuration as frozen values. Every key is described in docs/configuration.md.

Secrets are never keys: a key names the file or the environment variable that holds one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def _octets(value: object) -> object:
    """Turn `"50 MiB"` into octets; anything else is left to the integer check."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+)\s*([a-zA-Z]*)\s*", value)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError('must be a number of octets, or a text such as "50 MiB" (units: KiB, MiB, GiB, TiB)')
    return int(match[1]) * _UNITS[match[2].lower()]


def _bind(value: str) -> str:
    split_address(value)
    return value


def split_address(bind: str) -> tuple[str, int]:
    """Split `host:port`, `[v6]:port` or `*:port` into host and port; `*` becomes the empty host, meaning every address.

    Raises:
        ValueError: it has another form.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError('must be an address and a port, such as "127.0.0.1:1143", "[::1]:1143" or "*:1143"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        ipaddress.IPv6Address(host)
    elif ":" in host:
        raise ValueError("an IPv6 address is written in brackets: [::1]:1143")
    return ("" if host == "*" else host), int(port)


def _scalar(value: object) -> object:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError("must be a text, a number, or true or false")
    return value


def check_login(value: str) -> str:
    """Return the login if clients can send it.

    Raises:
        ValueError: they cannot.
    """
    if not value or any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        raise ValueError("must be a text without control characters")
    return value


def check_account_name(value: str) -> str:
    """Return the name if it can be the first level of a mailbox name.

    Raises:
        ValueError: it cannot.
    """
    if not value or value != value.strip() or any(char in '/%*\\"' or ord(char) < 0x20 for char in value):
        raise ValueError('must not be empty, start or end with a space, or hold / % * \\ " or control characters')
    if value.upper() == "INBOX":
        raise ValueError("must not be INBOX, which is the name of a mailbox")
    return value


Octets = Annotated[int, BeforeValidator(_octets), Field(ge=0)]
Bind = Annotated[str, AfterValidator(_bind)]
Login = Annotated[str, AfterValidator(check_login)]
AccountName = Annotated[str, AfterValidator(check_account_name)]
SettingValue = Annotated[bool | int | float | str, BeforeValidator(_scalar)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class StoreConfig(_Section):
    """Where UID maps, flags, users and accounts are kept. Losing it means that clients fetch their mail again."""

    url: str = Field(
        pattern=r"^sqlite:///.+",
        description="The database: `sqlite:///` and a path; four slashes make it absolute.",
    )


class CacheConfig(_Section):
    """Message bodies fetched from backends. May be deleted at any time."""

    directory: Path = Field(description="The folder of the cached messages.")
    max_size: Octets = Field(
        default=10 << 30, description="How much it may hold; the messages read longest ago go first."
    )
    seal: bool = Field(default=False, description="Encrypt the cached messages with the key of `[secrets]`.")


class SecretsConfig(_Section):
    """The key under which the credentials of accounts are sealed in the store."""

    key_file: Path | None = Field(default=None, description="A file holding the key.")
    key_env: str | None = Field(default=None, description="The environment variable holding the key.")

    @model_validator(mode="after")
    def _one_source(self) -> SecretsConfig:
        if self.key_file is not None and self.key_env is not None:
            raise ValueError("give key_file or key_env, not both")
        return self


class ListenerConfig(_Section):
    """One address that clients connect to."""

    protocol: Literal["imap", "imaps"] = Field(
        description="`imap` is plain, with STARTTLS if there is a certificate; `imaps` is TLS from the first octet."
    )
    bind: Bind = Field(description="Address and port: `127.0.0.1:1143`, `[::1]:1143`, or `*:1143` for every address.")

    @property
    def address(self) -> tuple[str, int]:
        """Host, empty for every address, and port."""
        return split_address(self.bind)


class TlsConfig(_Section):
    """The certificate of the listeners. It is read again on SIGHUP."""

    certificate: Path = Field(description="The certificate and its chain, PEM.")
    key: Path = Field(description="The private key, PEM, without a passphrase.")
    minimum_version: Literal["1.0", "1.1", "1.2", "1.3"] = Field(
        default="1.2", description="The oldest TLS spoken. Below 1.2 is for scanners and other old devices only."
    )
    client_ca: Path | None = Field(
        default=None, description="The authorities, PEM, by whose certificates clients may log in; unset: none."
    )


class OAuthConfig(_Section):
    """An identity provider whose tokens (JWT) clients may log in with, by OAUTHBEARER and XOAUTH2."""

    issuer: str = Field(pattern=r"^https://[^/?#]+[^?#]*$", description="The provider, as its tokens call it (`iss`).")
    audience: str = Field(min_length=1, description="Whom its tokens for this gateway are meant for (`aud`).")
    login_claim: str = Field(
        default="email", min_length=1, description="The claim of a token that holds the login of its owner."
    )
    jwks_url: str | None = Field(
        default=None,
        pattern=r"^https://",
        description="Where the provider's keys are. Unset: where its OpenID configuration says.",
    )


class ExemptionConfig(_Section):
    """Capabilities not to offer where all of `client`, `login` and `account` that are given fit."""

    client: str | None = Field(
        default=None,
        min_length=1,
        description="The name that the client gives by ID; `*` stands for any text, case does not matter.",
    )
    login: Login | None = Field(default=None, description="The login of a user.")
    account: AccountName | None = Field(default=None, description="The name of an account of the user.")
    disabled_capabilities: frozenset[str] = Field(min_length=1, description="The capabilities.")

    @model_validator(mode="after")
    def _is_for_somebody(self) -> ExemptionConfig:
        if self.client is None and self.login is None and self.account is None:
            raise ValueError("give client, login or account; imap.disabled_capabilities is for everybody")
        return self


class ImapConfig(_Section):
    """How the IMAP door behaves. Times are in seconds."""

    allow_plaintext_login: bool = Field(
        default=False, description="Take passwords without TLS from other machines. From this machine they always are."
    )
    disabled_capabilities: frozenset[str] = Field(
        default=frozenset(), description="Capabilities not to offer, for a client that mishandles one."
    )
    added_capabilities: frozenset[str] = Field(
        default=frozenset(), description="Capabilities to offer that are offered only if they are named here."
    )
    exemptions: tuple[ExemptionConfig, ...] = ()
    login_grace_s: float = Field(default=120.0, ge=1, description="How long a client may take to log in.")
    autologout_s: float = Field(
        default=1800.0, ge=1800, description="How long a client may be silent; at least half an hour (RFC 9051)."
    )
    tls_handshake_timeout_s: float = Field(
        default=30.0, ge=1, description="How long a client may take for the handshake of TLS or STARTTLS."
    )
    send_timeout_s: float = Field(
        default=300.0, ge=1, description="A client that takes nothing for so long while output waits is dropped."
    )
    idle_heartbeat_s: float = Field(
        default=120.0,
        ge=1,
        description="How often an idling client is sent a sign of life; it keeps NAT paths open.",
    )


class LimitsConfig(_Section):
    """How much clients may ask for."""

    message_size: Octets = Field(default=50 << 20, ge=1, description="The largest message that APPEND takes.")
    connections: int = Field(default=10_000, ge=1, description="Connections in all.")
    connections_per_address: int = Field(
        default=100, ge=1, description="Connections from one address, behind which there may be many users."
    )
    connections_per_user: int = Field(
        default=20, ge=1, description="Connections of one login; a client opens 5 to 10, on each device."
    )
    messages_per_command: int = Field(
        default=0,
        ge=0,
        description=(
            "How many messages a command may be about (MESSAGELIMIT, RFC 9738), 0: any number. Not below 1000; clients "
            "that do not know of it see only so many of a mailbox."
        ),
    )
    login_failures: int = Field(default=5, ge=1, description="Wrong passwords after which a connection is closed.")


class SyncConfig(_Section):
    """How the gateway follows what happens at the backends."""

    prefetch: Literal["none", "headers", "bodies"] = Field(
        default="headers",
        description=(
            "What is fetched before a client asks for it: nothing, what message lists show, or whole messages as well."
        ),
    )
    poll_interval_s: float | None = Field(
        default=None,
        ge=1,
        description="Seconds between two looks at a backend that does not push. Unset: as the connector advises.",
    )


class MetricsConfig(_Section):
    """What the process tells of itself, for a monitoring system."""

    bind: Bind | None = Field(
        default=None,
        description="Address and port where `GET /metrics` is answered, without a password; unset: nowhere.",
    )
    loop_delay_warning_s: float = Field(
        default=0.05, gt=0, description="The log tells, once a minute at most, when no client was served for so long."
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host, empty for every address, and port."""
        return split_address(self.bind) if self.bind is not None else None


class SearchConfig(_Section):
    """How searches find their answers."""

    index: bool = Field(
        default=True,
        description="Keep an index of the texts of messages beside the database. There is none if `cache.seal` is set.",
    )


class LogConfig(_Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least level logged.")
    format: Literal["console", "json"] = Field(
        default="console", description="`console` for people, `json` (one object a line) for machines."
    )


class UserConfig(_Section):
    """A user declared here instead of by `imap-gateway user add`. Exactly one `password_` key."""

    login: Login = Field(description="The name that mail clients log in with.")
    password_file: Path | None = Field(default=None, description="A file holding the password.")
    password_env: str | None = Field(default=None, description="The environment variable holding the password.")
    password_hash: str | None = Field(
        default=None,
        pattern=r"^\$argon2id\$",
        description="Its argon2id hash, in PHC form (`$argon2id$...`).",
    )

    @model_validator(mode="after")
    def _one_password(self) -> UserConfig:
        if [self.password_file, self.password_env, self.password_hash].count(None) != 2:
            raise ValueError("give exactly one of password_file, password_env and password_hash")
        return self


class AccountConfig(_Section):
    """An account declared here instead of by `imap-gateway account add`."""

    name: AccountName = Field(description="Its name; with several accounts, the first level of its mailboxes' names.")
    user: Login = Field(description="The login of the user it belongs to, declared in `[[users]]`.")
    connector: str = Field(description="The kind of backend: `imap`, `jmap`, `maildir` or `memory`.")
    settings: dict[str, SettingValue] = Field(
        default_factory=dict, description="The connector's own settings; they are listed below."
    )
    credentials: dict[str, str] | None = Field(
        default=None,
        description=(
            "What it logs in with, in one of the forms the connector takes; a secret KEY as `KEY_file` or `KEY_env`."
        ),
    )
    primary: bool = Field(
        default=False, description="Of several accounts, show this one at the root instead of under its name."
    )


class Config(_Section):
    """The whole configuration."""

    store: StoreConfig
    cache: CacheConfig
    secrets: SecretsConfig = SecretsConfig()
    listeners: tuple[ListenerConfig, ...] = ()
    tls: TlsConfig | None = None
    oauth: OAuthConfig | None = None
    imap: ImapConfig = ImapConfig()
    limits: LimitsConfig = LimitsConfig()
    sync: SyncConfig = SyncConfig()
    search: SearchConfig = SearchConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    users: tuple[UserConfig, ...] = ()
    accounts: tuple[AccountConfig, ...] = ()


def section_models(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], bool]]:
    """Yield (key, model, whether it is a list) of the keys of `model` that hold further keys."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
        for candidate in (annotation, *arguments):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield name, candidate, Ellipsis in arguments
