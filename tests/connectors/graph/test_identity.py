"""Applications at Microsoft's login: where they ask, and what gets out when that goes wrong."""

from __future__ import annotations

import httpx
import pytest

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, Unavailable
from connectors.graph.identity import AppIdentity, authority_of, identity
from connectors.graph.settings import GraphSettings
from tests.connectors.graph.login_service import SCOPE, LoginService

APP = AppIdentity("client-1")


@pytest.mark.parametrize(
    ("authority", "tenant", "found"),
    [
        ("https://login.microsoftonline.com", "common", "https://login.microsoftonline.com/common"),
        ("https://login.microsoftonline.us", "example.org", "https://login.microsoftonline.us/example.org"),
        ("https://127.0.0.1:8443/tenant-1", "common", "https://127.0.0.1:8443/tenant-1"),
        ("http://127.0.0.1:8080", "consumers", "https://127.0.0.1:8080/consumers"),
    ],
)
def test_an_authority_has_a_tenant_and_tls_for_msal(authority: str, tenant: str, found: str) -> None:
    assert authority_of(GraphSettings(authority=authority), tenant) == found


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "a b", "a?b", "\u00e4"])
def test_a_tenant_that_is_no_name_is_refused(tenant: str) -> None:
    with pytest.raises(AuthExpired, match="tenant: "):
        authority_of(GraphSettings(), tenant)


def test_secrets_do_not_go_where_they_can_be_read_along() -> None:
    with pytest.raises(AuthExpired, match="without TLS"):
        authority_of(GraphSettings(authority="http://login.example"), "common")


def test_no_service_of_discovery_is_asked() -> None:
    service = LoginService()
    cache = service.token_cache(APP)
    service.urls.clear()
    with identity(GraphSettings(), APP, cache, transport=service) as asked:
        asked.silent([SCOPE], is_forced=False, claims=None)
    assert [url.rpartition("/")[2] for url in service.urls] == ["openid-configuration", "token"]


def test_an_authority_of_ones_own_is_asked_at_its_port() -> None:
    service = LoginService("http://127.0.0.1:8080")
    settings = GraphSettings(authority="http://127.0.0.1:8080")
    service.device_answers = ["ok"]
    with identity(settings, APP, transport=service) as asked:
        reply = asked.poll_device(asked.begin_device([SCOPE]))
        flow = asked.begin_browser([SCOPE], "http://localhost:5")
    assert reply is not None
    assert flow["auth_uri"].startswith("http://127.0.0.1:8080/common/oauth2/v2.0/authorize?")
    assert all(url.startswith("http://127.0.0.1:8080/common/") for url in service.urls)
    with identity(settings, APP, reply.token_cache, transport=service) as again:
        assert again.silent([SCOPE], is_forced=True, claims=None).access_token != reply.access_token


def test_a_configuration_that_lacks_what_it_must_have_is_no_ended_login() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"issuer": "i"}))
    with pytest.raises(Unavailable), identity(GraphSettings(), APP, transport=transport):
        pytest.fail("there is nobody to ask")


def test_an_error_of_the_borrower_is_its_own() -> None:
    with pytest.raises(KeyError), identity(GraphSettings(), APP, transport=LoginService()):
        raise KeyError("mine")


def test_nothing_shows_a_token() -> None:
    service = LoginService()
    service.device_answers = ["ok"]
    with identity(GraphSettings(), APP, transport=service) as asked:
        reply = asked.poll_device(asked.begin_device([SCOPE]))
    assert "access-" not in repr(reply)
    assert "refresh-" not in repr(reply)
    assert "s3cret" not in repr(AppIdentity("client-1", "t", Secret("s3cret")))
