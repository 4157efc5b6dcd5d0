from __future__ import annotations

from gateway.app.settings import imap_settings, mail_settings, sync_settings
from gateway.config import Config
from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Exemption, Switches
from gateway.mailbox.service import MailSettings
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch

LEAST = {"store": {"url": "sqlite:///x"}, "cache": {"directory": "x"}}


def test_defaults_are_those_of_the_parts() -> None:
    config = Config.model_validate(LEAST)
    assert imap_settings(config) == ImapSettings()
    assert sync_settings(config) == SyncSettings()
    assert mail_settings(config) == MailSettings()


def test_every_key_arrives() -> None:
    config = Config.model_validate(
        {
            **LEAST,
            "imap": {
                "allow_plaintext_login": True,
                "disabled_capabilities": ["qresync"],
                "added_capabilities": ["literal-"],
                "exemptions": [{"client": "Outlook*", "account": "work", "disabled_capabilities": ["idle"]}],
                "login_grace_s": 1,
                "autologout_s": 2000,
                "tls_handshake_timeout_s": 5,
                "send_timeout_s": 3,
                "idle_heartbeat_s": 4,
            },
            "limits": {
                "message_size": "5 MiB",
                "connections": 6,
                "connections_per_address": 7,
                "connections_per_user": 8,
                "login_failures": 9,
            },
            "sync": {"prefetch": "bodies", "poll_interval_s": 10},
        }
    )
    assert imap_settings(config) == ImapSettings(
        append_limit=5 << 20,
        connections_total=6,
        connections_per_address=7,
        connections_per_user=8,
        login_failures_per_connection=9,
        login_grace_s=1,
        autologout_s=2000,
        tls_handshake_timeout_s=5,
        send_timeout_s=3,
        idle_heartbeat_s=4,
        allow_plaintext_login=True,
        switches=Switches(
            frozenset({"LITERAL-"}),
            frozenset({"QRESYNC"}),
            (Exemption(frozenset({"IDLE"}), "Outlook*", None, "work"),),
        ),
    )
    assert sync_settings(config) == SyncSettings(Prefetch.BODIES, 10)
    assert mail_settings(config) == MailSettings(append_limit=5 << 20)
