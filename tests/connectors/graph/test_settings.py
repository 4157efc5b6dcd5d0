"""What an operator may set, what follows from the cloud, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.settings import SettingError, SettingValue
from connectors.graph import SPEC
from connectors.graph.cloud import ADDRESSES, Cloud
from connectors.graph.settings import AppendBy, ExpungeTo, GraphSettings, ListenAddress, parse_settings


def parsed(**settings: SettingValue) -> GraphSettings:
    return parse_settings(SPEC.check(settings))


def test_nothing_has_to_be_set() -> None:
    assert parsed() == GraphSettings()


def test_the_defaults_of_the_description_are_those_of_the_settings() -> None:
    assert parse_settings({}) == GraphSettings()


def test_everything_can_be_set(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    settings = parsed(
        cloud="us-dod",
        api_root="http://127.0.0.1:8080/v1.0/",
        authority="https://127.0.0.1:8443/",
        mailbox="info@example.org",
        max_concurrent=2,
        requests_per_10_minutes=500,
        append="refuse",
        imap_host="127.0.0.1",
        imap_port=9993,
        expunge="delete",
        labels="Wichtig, Arbeit",
        hidden=True,
        poll_interval_s=5,
        timeout_s=3,
        ca_file=str(ca_file),
        verify=False,
    )
    assert settings == GraphSettings(
        cloud=Cloud.US_DOD,
        api_root="http://127.0.0.1:8080/v1.0",
        authority="https://127.0.0.1:8443",
        mailbox="info@example.org",
        max_concurrent=2,
        requests_per_10_minutes=500,
        append=AppendBy.REFUSE,
        imap_host="127.0.0.1",
        imap_port=9993,
        expunge=ExpungeTo.DELETE,
        labels=("Wichtig", "Arbeit"),
        hidden=True,
        poll_interval_s=5.0,
        timeout_s=3.0,
        ca_file=str(ca_file),
        verify=False,
    )


@pytest.mark.parametrize("cloud", Cloud, ids=lambda cloud: cloud.value)
def test_a_cloud_has_addresses_of_its_own(cloud: Cloud) -> None:
    settings = parsed(cloud=cloud.value)
    assert settings.api_root == ADDRESSES[cloud].api_root == f"{ADDRESSES[cloud].audience}/v1.0"
    assert settings.authority == ADDRESSES[cloud].authority
    assert settings.addresses is ADDRESSES[cloud]


@pytest.mark.parametrize("cloud", Cloud, ids=lambda cloud: cloud.value)
def test_a_cloud_has_an_imap_server_of_its_own(cloud: Cloud) -> None:
    settings = parsed(cloud=cloud.value, append="imap")
    assert (settings.append, settings.imap_host, settings.imap_port) == (
        AppendBy.IMAP,
        ADDRESSES[cloud].imap_host,
        993,
    )


def test_imap_takes_the_address_of_a_mailbox_and_not_its_id() -> None:
    some_id = "48d31887-5fad-4d73-a9f5-3c356e68a038"
    assert parsed(mailbox=some_id).mailbox == some_id
    with pytest.raises(SettingError, match="not an id") as caught:
        parsed(mailbox=some_id, append="imap")
    assert caught.value.key == "mailbox"
    assert parsed(mailbox="info@example.org", append="imap").mailbox == "info@example.org"
    assert parsed(append="imap").is_own_mailbox


def test_permissions_are_asked_for_at_the_cloud_wherever_requests_go() -> None:
    settings = parsed(api_root="http://127.0.0.1:1/v1.0")
    assert settings.addresses.audience == "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("mailbox", "path"),
    [
        ("me", "/me"),
        ("ME", "/me"),
        ("", "/me"),
        ("alex@example.org", "/users/alex@example.org"),
        ("a_b.com#EXT#@x.onmicrosoft.com", "/users/a_b.com%23EXT%23@x.onmicrosoft.com"),
        ("48d31887-5fad-4d73-a9f5-3c356e68a038", "/users/48d31887-5fad-4d73-a9f5-3c356e68a038"),
    ],
)
def test_a_mailbox_has_its_path(mailbox: str, path: str) -> None:
    settings = parsed(mailbox=mailbox)
    assert settings.mailbox_path == path
    assert settings.is_own_mailbox == (path == "/me")


def test_labels_can_be_none() -> None:
    assert parsed(labels=" ").labels == ()


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("cloud", "mars", "must be one of"),
        ("api_root", "graph.microsoft.com", "must be an address"),
        ("api_root", "https://x/v1.0?a=b", "must be an address"),
        ("api_root", "https://graph.microsoft.com", "must hold the version"),
        ("api_root", "https://graph.microsoft.com/", "must hold the version"),
        ("api_root", "https://[::1", "must be an address"),
        ("authority", "ftp://x", "must be an address"),
        ("authority", "https://alex:secret@login.example", "they are credentials"),
        ("mailbox", "a/b", "must be an address"),
        ("mailbox", "..", "must be an address"),
        ("mailbox", "a b@example.org", "must be an address"),
        ("labels", "a,b,c,d,e,f", "at most five"),
        ("labels", "a,,b", "at most five"),
        ("labels", "Work,work", "twice"),
        ("ca_file", "/nowhere/ca.pem", "there is no file"),
        ("max_concurrent", 0, "at least 1"),
        ("append", "import", "must be one of"),
        ("imap_host", "imaps://outlook.example", "must be the name of a server"),
        ("imap_port", 0, "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: SettingValue, reason: str) -> None:
    with pytest.raises(SettingError, match=reason) as caught:
        parsed(**{key: value})
    assert caught.value.key == key
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("cloud", ["us-gov", "us-dod", "china"])
def test_national_clouds_delete_nothing_beyond_recovery(cloud: str) -> None:
    with pytest.raises(SettingError, match="use delete"):
        parsed(cloud=cloud, expunge="permanent")
    assert parsed(expunge="permanent").expunge is ExpungeTo.PERMANENT


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        (("client_id", "token_cache"), "consent"),
        (("client_id", "tenant", "client_secret", "token_cache"), "consent"),
        (("client_id", "tenant", "client_secret"), "app-secret"),
        (("client_id", "tenant", "certificate"), "app-certificate"),
        (("client_id", "tenant", "certificate", "passphrase"), "app-certificate"),
        (("access_token",), "token"),
        (("access_token", "imap_access_token"), "token"),
    ],
)
def test_the_form_of_credentials_follows_from_what_is_given(keys: tuple[str, ...], form: str) -> None:
    assert SPEC.form_of(keys).name == form


# -- notifications ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8085", ("127.0.0.1", 8085)),
        ("localhost:8085", ("127.0.0.1", 8085)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_where_to_listen_for_notifications(text: str, address: tuple[str, int]) -> None:
    settings = parsed(notification_url="https://mail.example.org/graph?a=b", notification_listen=text)
    assert settings.notification_url == "https://mail.example.org/graph?a=b"
    assert settings.notification_listen == ListenAddress(*address)
    assert str(settings.notification_listen) == text.replace("localhost", "127.0.0.1")


@pytest.mark.parametrize(
    "text",
    [
        "8085",
        "127.0.0.1",
        ":8085",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:http",
        "127.0.0.1:-1",
        "127.0.0.1: 1",
        "::1:8085",
        "[127.0.0.1:8085",
        "mail.example.org:8085",
        "http://127.0.0.1:8085",
        "127.0.0.1:\u0661",
    ],
)
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parsed(notification_url="https://mail.example.org/graph", notification_listen=text)
    assert caught.value.key == "notification_listen"


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://mail.example.org/graph",
        "https://me:secret@mail.example.org/",
        "https://a.example/#b",
    ],
)
def test_addresses_that_graph_would_not_post_to(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        parsed(notification_url=url, notification_listen="127.0.0.1:8085")
    assert caught.value.key == "notification_url"


def test_both_settings_for_notifications_are_given_or_neither() -> None:
    with pytest.raises(SettingError, match="notification_listen: is required with notification_url"):
        parsed(notification_url="https://mail.example.org/graph")
    with pytest.raises(SettingError, match="notification_url: is required with notification_listen"):
        parsed(notification_listen="127.0.0.1:8085")
    assert parsed(notification_url=" ", notification_listen="") == GraphSettings()
