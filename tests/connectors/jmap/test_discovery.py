"""The session document is found, and the credential shown only to those who may see it."""

from __future__ import annotations

from typing import Any

import dns.asyncresolver
import dns.message
import dns.rdatatype
import dns.resolver
import httpx
import pytest
import respx

from connectors.api.errors import AuthExpired, Rejected, Unavailable
from connectors.jmap.discovery import DnsResolver, Service, with_well_known
from tests.connectors.jmap.offline import HOST, SESSION_URL, TOKEN, FixedResolver, make_client, session_document


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


def ok(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json=session_document(**changes))


def redirect(where: str, status: int = 301) -> httpx.Response:
    return httpx.Response(status, headers={"Location": where})


@pytest.mark.parametrize(
    ("url", "session"),
    [
        ("https://h", "https://h/.well-known/jmap"),
        ("https://h:8443/", "https://h:8443/.well-known/jmap"),
        ("https://h/jmap/session", "https://h/jmap/session"),
        ("https://h/?x=1", "https://h/?x=1"),
    ],
)
def test_a_bare_server_is_asked_at_the_well_known_place(url: str, session: str) -> None:
    assert with_well_known(url) == session


async def test_the_credential_goes_along_as_basic_or_bearer(router: respx.Router) -> None:
    route = router.get(SESSION_URL).mock(return_value=ok())
    for client in (make_client(router), make_client(router, credential=TOKEN)):
        await client.open()
        await client.close()
    assert [call.request.headers["Authorization"] for call in route.calls] == [
        "Basic YWxpY2U6d29uZGVy",
        "Bearer t0ken",
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_on_one_host_are_followed_and_the_last_url_is_the_base(
    router: respx.Router, status: int
) -> None:
    router.get(SESSION_URL).mock(return_value=redirect("/jmap/session", status))
    session = router.get(f"{HOST}/jmap/session").mock(return_value=ok(apiUrl="api"))
    client = make_client(router)
    await client.open()
    assert session.calls.last.request.headers["Authorization"].startswith("Basic ")
    assert client.view.url == f"{HOST}/jmap/session"
    assert client.view.endpoints.api == f"{HOST}/jmap/api"


async def test_a_redirect_to_an_allowed_host_takes_the_credential_along(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=redirect("https://api.example.net/session"))
    session = router.get("https://api.example.net/session").mock(return_value=ok())
    client = make_client(router, allowed_hosts=("*.example.net",))
    await client.open()
    assert session.calls.last.request.headers["Authorization"].startswith("Basic ")


async def test_a_redirect_to_another_host_is_not_followed(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=redirect("https://evil.example.net/session"))
    other = router.get("https://evil.example.net/session").mock(return_value=ok())
    with pytest.raises(Rejected, match=r"unless allowed_hosts names evil\.example\.net"):
        await make_client(router).open()
    assert not other.called


async def test_a_redirect_to_plain_http_is_not_followed(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=redirect("http://mail.example.com/session"))
    with pytest.raises(Rejected, match="without TLS"):
        await make_client(router).open()


async def test_redirects_in_a_circle_end(router: respx.Router) -> None:
    route = router.get(SESSION_URL).mock(return_value=redirect(SESSION_URL))
    with pytest.raises(Unavailable, match="redirects"):
        await make_client(router).open()
    assert route.call_count == 6


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b"", b'{"apiUrl": 3}', b"\xff\xfe"])
async def test_what_is_no_session_document_is_unavailable(router: respx.Router, body: bytes) -> None:
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, content=body))
    with pytest.raises(Unavailable, match=r"no JMAP session.*; url must be that of the session document"):
        await make_client(router).open()


async def test_nothing_at_the_url_is_unavailable(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=httpx.Response(404))
    with pytest.raises(Unavailable, match="404; url must be that of the session document"):
        await make_client(router).open()


async def test_where_the_url_is_wrong_the_server_is_asked_at_the_well_known_path(router: respx.Router) -> None:
    router.get(f"{HOST}/jmap/").mock(return_value=httpx.Response(404))
    found = router.get(SESSION_URL).mock(return_value=ok())
    await make_client(router, url=f"{HOST}/jmap/").open()
    assert found.call_count == 1


async def test_a_server_that_is_down_is_no_reason_to_alter_settings(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=httpx.Response(500))
    with pytest.raises(Unavailable) as caught:
        await make_client(router).open()
    assert "url must be" not in caught.value.operator_text


async def test_nothing_at_the_domain_suggests_the_url(router: respx.Router) -> None:
    router.get("https://example.com/.well-known/jmap").mock(return_value=httpx.Response(404))
    with pytest.raises(Unavailable, match="404; if the domain has JMAP elsewhere, set url"):
        await make_client(router, domain="example.com").open()


async def test_a_refused_credential_wants_a_new_login(router: respx.Router) -> None:
    router.get(SESSION_URL).mock(return_value=httpx.Response(401))
    with pytest.raises(AuthExpired):
        await make_client(router).open()


# -- by domain --------------------------------------------------------------------------------------------------------


def services(*found: Service) -> FixedResolver:
    return FixedResolver({"_jmap._tcp.example.com": found})


async def test_dns_names_the_server_of_a_domain(router: respx.Router) -> None:
    route = router.get("https://jmap.example.com:8443/.well-known/jmap").mock(return_value=ok())
    client = make_client(router, domain="Example.com.", resolver=services(Service("jmap.example.com", 8443)))
    await client.open()
    assert route.calls.last.request.headers["Authorization"].startswith("Basic ")
    assert client.view.endpoints.api == "https://jmap.example.com:8443/api/"


async def test_the_domain_itself_is_asked_where_dns_names_nothing(router: respx.Router) -> None:
    router.get("https://example.com/.well-known/jmap").mock(return_value=redirect("https://api.example.com/s"))
    router.get("https://api.example.com/s").mock(return_value=ok())
    client = make_client(router, domain="example.com", resolver=services())
    await client.open()
    assert client.view.url == "https://api.example.com/s"


async def test_the_next_server_is_asked_where_one_fails(router: respx.Router) -> None:
    router.get("https://a.example.com/.well-known/jmap").mock(return_value=httpx.Response(404))
    router.get("https://b.example.com/.well-known/jmap").mock(side_effect=httpx.ConnectError("down"))
    router.get("https://example.com/.well-known/jmap").mock(return_value=ok())
    resolver = services(Service("a.example.com", 443), Service("b.example.com", 443))
    client = make_client(router, domain="example.com", resolver=resolver)
    await client.open()
    assert client.view.url == "https://example.com/.well-known/jmap"


async def test_a_refused_credential_is_not_shown_to_the_next_server(router: respx.Router) -> None:
    router.get("https://a.example.com/.well-known/jmap").mock(return_value=httpx.Response(401))
    other = router.get("https://example.com/.well-known/jmap").mock(return_value=ok())
    with pytest.raises(AuthExpired):
        await make_client(router, domain="example.com", resolver=services(Service("a.example.com", 443))).open()
    assert not other.called


async def test_a_foreign_host_named_in_dns_gets_no_credential(router: respx.Router) -> None:
    foreign = router.get("https://jmap.hoster.net/.well-known/jmap").mock(return_value=ok())
    router.get("https://example.com/.well-known/jmap").mock(return_value=httpx.Response(404))
    client = make_client(router, domain="example.com", resolver=services(Service("jmap.hoster.net", 443)))
    with pytest.raises(Unavailable, match=r"unless allowed_hosts names jmap\.hoster\.net.*404"):
        await client.open()
    assert not foreign.called


async def test_a_foreign_host_named_in_dns_is_used_if_allowed(router: respx.Router) -> None:
    router.get("https://jmap.hoster.net/.well-known/jmap").mock(return_value=ok())
    client = make_client(
        router,
        domain="example.com",
        resolver=services(Service("jmap.hoster.net", 443)),
        allowed_hosts=("jmap.hoster.net",),
    )
    await client.open()
    assert client.view.url == "https://jmap.hoster.net/.well-known/jmap"


async def test_dns_that_does_not_answer_leaves_the_domain_itself(router: respx.Router) -> None:
    class Broken:
        async def services(self, name: str) -> tuple[Service, ...]:
            raise Unavailable(f"no answer for {name}")

    router.get("https://example.com/.well-known/jmap").mock(return_value=ok())
    client = make_client(router, domain="example.com", resolver=Broken())  # type: ignore[arg-type]
    await client.open()
    assert client.account_id == "A1"


# -- DNS --------------------------------------------------------------------------------------------------------------


def answer(*records: str) -> dns.resolver.Answer:
    text = "id 1\nopcode QUERY\nrcode NOERROR\nflags QR\n;QUESTION\n_jmap._tcp.example.com. IN SRV\n;ANSWER\n"
    text += "".join(f"_jmap._tcp.example.com. 60 IN SRV {record}\n" for record in records)
    message = dns.message.from_text(text)
    assert isinstance(message, dns.message.QueryMessage)
    question = message.question[0]
    return dns.resolver.Answer(question.name, dns.rdatatype.SRV, question.rdclass, message)


async def test_services_come_by_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(name: str, *_args: object, **_named: object) -> dns.resolver.Answer:
        assert name == "_jmap._tcp.example.com"
        return answer("20 1 443 Second.example.com.", "10 0 8443 first.example.com.")

    monkeypatch.setattr(dns.asyncresolver, "resolve", resolve)
    found = await DnsResolver().services("_jmap._tcp.example.com")
    assert list(found) == [Service("first.example.com", 8443), Service("second.example.com", 443)]


async def test_a_single_dot_means_that_there_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_args: object, **_named: object) -> dns.resolver.Answer:
        return answer("0 0 0 .")

    monkeypatch.setattr(dns.asyncresolver, "resolve", resolve)
    assert list(await DnsResolver().services("_jmap._tcp.example.com")) == []


async def test_no_records_are_no_error_and_no_answer_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[type[Exception]] = [dns.resolver.NXDOMAIN, dns.resolver.NoNameservers]

    async def resolve(*_args: object, **_named: object) -> dns.resolver.Answer:
        raise failures.pop(0)

    monkeypatch.setattr(dns.asyncresolver, "resolve", resolve)
    assert list(await DnsResolver().services("_jmap._tcp.example.com")) == []
    with pytest.raises(Unavailable):
        await DnsResolver().services("_jmap._tcp.example.com")
