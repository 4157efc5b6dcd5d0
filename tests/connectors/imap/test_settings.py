"""The settings of an account at an IMAP server."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from connectors.api.credentials import FixedCredential
from connectors.api.spec import SettingError
from connectors.imap import SPEC
from connectors.imap.connector import ImapConnector
from connectors.imap.settings import Tls, parse_settings


def test_the_port_follows_from_tls() -> None:
    assert [parse_settings({"host": "h", "tls": tls}).port for tls in ("none", "starttls", "implicit")] == [
        143,
        143,
        993,
    ]
    assert parse_settings({"host": "h", "port": 1993}).port == 1993


def test_tls_is_implicit_and_verified_unless_told_otherwise() -> None:
    settings = parse_settings(SPEC.check({"host": "h"}))
    assert settings.tls is Tls.IMPLICIT
    assert settings.ssl_context is not None
    assert settings.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert settings.ssl_context.check_hostname
    assert parse_settings({"host": "h", "tls": "none"}).ssl_context is None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError, match="ca_file"):
        SPEC.build({"host": "h", "ca_file": str(path)}, FixedCredential(None))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "h", "port": 0},
        {"host": "h", "tls": "yes"},
        {"host": "h", "max_connections": 0},
        {"host": "h", "x": 1},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        SPEC.check(settings)


def test_the_spec_builds_a_connector() -> None:
    assert isinstance(SPEC.build({"host": "h"}, FixedCredential(None)), ImapConnector)


def test_excluded_mailboxes_take_those_below_them_along() -> None:
    settings = parse_settings({"host": "h", "exclude": "Public, Trash/* ,*spam*,INBOX"})
    excluded = [("Public",), ("Public", "a", "b"), ("Trash", "x"), ("My spam",), ("INBOX", "a")]
    kept = [("INBOX",), ("Trash",), ("Publicity",), ("Work",)]
    assert all(map(settings.excludes, excluded))
    assert not any(map(settings.excludes, kept))


@pytest.mark.parametrize(("connections", "watching"), [(1, 0), (2, 1), (8, 4)])
def test_those_that_wait_for_news_leave_room_for_work(connections: int, watching: int) -> None:
    assert parse_settings({"host": "h", "max_connections": connections}).watch_limit == watching
