"""The settings of a JMAP account."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.settings import SettingError, SettingValue
from connectors.jmap import SPEC
from connectors.jmap.settings import ExpungeTo, JmapSettings, PushKind, parse_settings


def parse(**settings: SettingValue) -> JmapSettings:
    return parse_settings(SPEC.check(settings))


def test_a_url_is_enough() -> None:
    assert parse(url="https://jmap.example.com/session") == JmapSettings(url="https://jmap.example.com/session")


def test_a_domain_is_enough() -> None:
    assert parse(domain="example.com") == JmapSettings(domain="example.com")


def test_all_settings_arrive(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    settings = parse(
        url="http://127.0.0.1:8080",
        ca_file=str(ca_file),
        verify=False,
        timeout_s=5.0,
        poll_interval_s=30.0,
        push="off",
        max_concurrent=2,
        allowed_hosts="API.example.com, *.example.net,",
        account_id="A1",
        expunge="archive",
    )
    assert settings == JmapSettings(
        url="http://127.0.0.1:8080",
        ca_file=str(ca_file),
        verify=False,
        timeout_s=5.0,
        poll_interval_s=30.0,
        push=PushKind.OFF,
        max_concurrent=2,
        allowed_hosts=("api.example.com", "*.example.net"),
        account_id="A1",
        expunge=ExpungeTo.ARCHIVE,
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "url"),
        ({"url": " "}, "url"),
        ({"url": "https://a.example", "domain": "a.example"}, "domain"),
        ({"url": "ftp://a.example"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a.example:99999/"}, "url"),
        ({"url": "https://ann:secret@a.example/"}, "url"),
        ({"domain": "https://a.example"}, "domain"),
        ({"domain": "a..example"}, "domain"),
        ({"domain": "a.example", "ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"domain": "a.example", "allowed_hosts": "a.*.example"}, "allowed_hosts"),
        ({"domain": "a.example", "allowed_hosts": "https://a.example"}, "allowed_hosts"),
        ({"domain": "a.example", "expunge": "shred"}, "expunge"),
        ({"domain": "a.example", "push": "pigeon"}, "push"),
        ({"domain": "a.example", "max_concurrent": 0}, "max_concurrent"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, SettingValue], key: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(**settings)
    assert caught.value.key == key


def test_a_password_or_a_token_may_be_given() -> None:
    assert SPEC.form_of({"username", "password"}).name == "password"
    assert SPEC.form_of({"token"}).name == "token"
