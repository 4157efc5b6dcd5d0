"""The configuration's sections in the terms of the parts they are for."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.config import Config, TlsConfig
from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Exemption, Switches
from gateway.mailbox.service import MailSettings
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.tls import ServerTls


def imap_settings(config: Config) -> ImapSettings:
    """Return what the IMAP door is to know."""
    return ImapSettings(
        append_limit=config.limits.message_size,
        connections_total=config.limits.connections,
        connections_per_address=config.limits.connections_per_address,
        connections_per_user=config.limits.connections_per_user,
        login_failures_per_connection=config.limits.login_failures,
        login_grace_s=config.imap.login_grace_s,
        autologout_s=config.imap.autologout_s,
        tls_handshake_timeout_s=config.imap.tls_handshake_timeout_s,
        send_timeout_s=config.imap.send_timeout_s,
        idle_heartbeat_s=config.imap.idle_heartbeat_s,
        allow_plaintext_login=config.imap.allow_plaintext_login,
        messages_per_command=config.limits.messages_per_command,
        switches=_switches(config),
    )


def _switches(config: Config) -> Switches:
    return Switches(
        _capitals(config.imap.added_capabilities),
        _capitals(config.imap.disabled_capabilities),
        tuple(
            Exemption(_capitals(one.disabled_capabilities), one.client, one.login, one.account)
            for one in config.imap.exemptions
        ),
    )


def _capitals(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.upper() for name in names)


def sync_settings(config: Config) -> SyncSettings:
    """Return how accounts are to be followed."""
    return SyncSettings(Prefetch(config.sync.prefetch), config.sync.poll_interval_s)


def mail_settings(config: Config) -> MailSettings:
    """Return what the mail service is to know."""
    return MailSettings(append_limit=config.limits.message_size)


def server_tls(config: TlsConfig) -> ServerTls:
    """Return the TLS of the listeners.

    Raises:
        OperatorError: its files cannot be used.
    """
    return ServerTls(config.certificate, config.key, minimum_version=config.minimum_version, client_ca=config.client_ca)
