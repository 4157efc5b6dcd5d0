"""The credential goes where the operator meant it to, and nowhere else."""

from __future__ import annotations

import pytest

from connectors.api.credentials import FixedCredential
from connectors.api.errors import Rejected
from connectors.jmap.settings import JmapSettings
from connectors.jmap.trust import Trust, handshake_url
from connectors.transport.authorise import CredentialAuthoriser


def make_trust(**settings: object) -> Trust:
    return Trust(JmapSettings(**settings), CredentialAuthoriser(FixedCredential(None)))  # type: ignore[arg-type]


def test_the_server_of_the_url_is_trusted_and_no_other_port_or_host() -> None:
    trust = make_trust(url="https://mail.example.com/session")
    trust.check("https://mail.example.com/other")
    for url in ("https://mail.example.com:8443/", "https://x.mail.example.com/", "https://example.com/"):
        with pytest.raises(Rejected, match="unless allowed_hosts names"):
            trust.check(url)


def test_hosts_at_and_below_the_domain_are_trusted() -> None:
    trust = make_trust(domain="example.com")
    trust.check("https://example.com/.well-known/jmap")
    trust.check("https://api.example.com/jmap")
    with pytest.raises(Rejected):
        trust.check("https://example.com.evil.org/jmap")


def test_what_the_session_names_is_trusted_if_no_hosts_are_set() -> None:
    trust = make_trust(url="https://mail.example.com/")
    trust.admit("https://blobs.example.net/{blobId}")
    trust.check("https://blobs.example.net/x")


def test_what_the_session_names_is_not_trusted_if_hosts_are_set() -> None:
    trust = make_trust(url="https://mail.example.com/", allowed_hosts=("*.example.net",))
    trust.admit("https://blobs.example.net/")
    with pytest.raises(Rejected, match=r"allowed_hosts names evil\.org"):
        trust.admit("https://evil.org/")


def test_the_session_cannot_lead_away_from_tls() -> None:
    trust = make_trust(url="https://mail.example.com/")
    with pytest.raises(Rejected):
        trust.admit("http://mail.example.com/api")
    with pytest.raises(Rejected):
        trust.admit("ws://mail.example.com/ws")


def test_plain_http_is_for_the_operator_to_choose() -> None:
    trust = make_trust(url="http://10.0.0.1:8080/jmap")
    trust.admit("http://10.0.0.1:8080/api")
    with pytest.raises(Rejected):
        trust.admit("http://10.0.0.2:8080/api")


def test_a_server_that_wants_tls_after_all_is_to_be_named_so() -> None:
    trust = make_trust(url="http://mail.example.com/")
    with pytest.raises(Rejected, match=r"leads to https://mail\.example\.com: begin url with https"):
        trust.check("https://mail.example.com/session")


def test_dns_may_name_a_port_of_a_trusted_host_only() -> None:
    trust = make_trust(domain="example.com")
    trust.admit_service("jmap.example.com", 8443)
    trust.check("https://jmap.example.com:8443/.well-known/jmap")
    with pytest.raises(Rejected):
        trust.admit_service("jmap.hoster.net", 443)


@pytest.mark.parametrize("url", ["ftp://mail.example.com/", "nonsense", "https://user@mail.example.com/"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Rejected):
        make_trust(url="https://mail.example.com/").admit(url)


def test_a_websocket_goes_by_the_address_of_its_handshake() -> None:
    assert handshake_url("wss://h/ws") == "https://h/ws"
    assert handshake_url("WS://h/ws") == "http://h/ws"
    assert handshake_url("https://h/") == "https://h/"
