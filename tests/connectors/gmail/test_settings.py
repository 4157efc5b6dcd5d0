"""What an operator may set, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.settings import SettingError, SettingValue
from connectors.gmail import SPEC
from connectors.gmail.settings import AppendBy, ExpungeTo, GmailSettings, parse_settings


def parsed(**settings: SettingValue) -> GmailSettings:
    return parse_settings(SPEC.check(settings))


def test_nothing_has_to_be_set() -> None:
    assert parsed() == GmailSettings()


def test_the_defaults_of_the_description_are_those_of_the_settings() -> None:
    assert parse_settings({}) == GmailSettings()


def test_everything_can_be_set(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    settings = parsed(
        api_root="http://127.0.0.1:8080/",
        user="alex@example.org",
        prefix="Google/Mail",
        categories=True,
        append="import",
        expunge="delete",
        topic="projects/p/topics/t",
        subscription="projects/p/subscriptions/s",
        ca_file=str(ca_file),
        verify=False,
    )
    assert settings.api_root == "http://127.0.0.1:8080"
    assert settings.user == "alex@example.org"
    assert settings.prefix == ("Google", "Mail")
    assert settings.categories
    assert (settings.append, settings.expunge) == (AppendBy.IMPORT, ExpungeTo.DELETE)
    assert (settings.topic, settings.subscription) == ("projects/p/topics/t", "projects/p/subscriptions/s")
    assert (settings.ca_file, settings.verify) == (str(ca_file), False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("api_root", "gmail.googleapis.com"),
        ("api_root", "ftp://example.org"),
        ("token_uri", "https://alex:secret@example.org/token"),
        ("auth_uri", "https://example.org:port/"),
        ("pubsub_root", "nowhere"),
        ("user", "alex"),
        ("prefix", "a//b"),
        ("prefix", "INBOX"),
        ("prefix", "Inbox/Google"),
        ("topic", "gmail"),
        ("subscription", "projects/p/topics/t"),
        ("ca_file", "/nowhere/at/all.pem"),
        ("batch_size", 101),
        ("costs", "2024"),
        ("expunge", "never"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: SettingValue) -> None:
    with pytest.raises(SettingError) as caught:
        parsed(**{key: value})
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"topic": "projects/p/topics/t"}, "subscription"),
        ({"subscription": "projects/p/subscriptions/s"}, "topic"),
    ],
)
def test_topic_and_subscription_go_together(given: dict[str, SettingValue], missing: str) -> None:
    with pytest.raises(SettingError) as caught:
        parsed(**given)
    assert caught.value.key == missing


def test_which_form_is_meant_follows_from_the_keys() -> None:
    assert SPEC.form_of(["client_id", "client_secret", "refresh_token"]).name == "oauth"
    assert SPEC.form_of(["service_account", "subject"]).name == "service-account"
