"""What the HTTP client does with credentials and redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import httpx
import pytest

from connectors.api.errors import (
    AuthExpired,
    Denied,
    OutcomeUnknown,
    Unavailable,
)
from connectors.transport.authorise import CredentialAuthoriser, NoAuthoriser
from connectors.transport.messages import Effect, Reply
from tests.connectors.transport.client_rig import (
    EFFECTS,
    Server,
    TokenSource,
    bearer,
    client_of,
    ok,
    outcome,
    request,
    status,
)


def wants(token: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda sent: ok() if sent.headers.get("authorization") == f"Bearer {token}" else status(401)


@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_refused_credential_is_replaced_and_the_request_sent_again(effect: Effect) -> None:
    source, server = TokenSource(), Server(wants("token-2"))
    authorise = CredentialAuthoriser(source, ["api.example.com"])
    assert isinstance(await outcome(server, request(effect), authorise=authorise), Reply)
    assert server.credentials == ["Bearer token-1", "Bearer token-2"]


async def test_requests_refused_together_cause_one_refresh() -> None:
    source, server = TokenSource(), Server(wants("token-2"))
    authorise = CredentialAuthoriser(source, ["api.example.com"])
    async with client_of(server, authorise=authorise, max_concurrent=5) as client:
        await asyncio.gather(*(client.request(request()) for _ in range(5)))
    assert source.refusals == 1


async def test_a_second_refusal_asks_for_a_new_login() -> None:
    source, server = TokenSource(), Server(status(401))
    authorise = CredentialAuthoriser(source, ["api.example.com"])
    assert type(await outcome(server, request(), authorise=authorise)) is AuthExpired
    assert len(server.requests) == 2


async def test_without_another_credential_the_request_is_not_repeated() -> None:
    server = Server(status(401))
    assert type(await outcome(server, request(), authorise=bearer())) is AuthExpired
    assert len(server.requests) == 1


async def test_a_host_that_is_not_allowed_gets_no_credential() -> None:
    server = Server(status(401))
    error = await outcome(server, request(url="https://evil.example/"), authorise=bearer())
    assert type(error) is Denied
    assert "none that may be sent there" in str(error)
    assert server.credentials == [None]


async def test_a_request_can_go_without_credential() -> None:
    server = Server(ok())
    await outcome(server, request(is_authorised=False), authorise=bearer())
    assert server.credentials == [None]


async def test_a_source_of_credentials_that_hangs_is_not_waited_for() -> None:
    class Hanging(NoAuthoriser):
        async def headers_for(self, url: str) -> dict[str, str]:
            await asyncio.Event().wait()
            return {}

    error = await outcome(Server(ok()), request(), authorise=Hanging(), timeout_s=0.02)
    assert type(error) is Unavailable
    assert "no credential came" in str(error)


def redirects(*hops: str, code: int = 307) -> Iterable[httpx.Response]:
    return [status(code, location=hop) for hop in hops]


async def test_a_redirect_is_followed_and_the_last_address_told() -> None:
    server = Server(*redirects("/other"), ok())
    reply = await outcome(server, request(), authorise=bearer())
    assert isinstance(reply, Reply)
    assert reply.url == "https://api.example.com/other"
    assert [sent.content for sent in server.requests] == [b"body"] * 2
    assert server.credentials == ["Bearer hunter2"] * 2


async def test_the_credential_stays_behind_when_the_host_is_not_allowed() -> None:
    for target in ("https://evil.example/", "https://api.example.com:444/", "https://api.example.com.evil.example/"):
        server = Server(*redirects(target), ok())
        result = await outcome(server, request(method="GET", content=None), authorise=bearer())
        assert isinstance(result, Reply)
        assert server.credentials == ["Bearer hunter2", None]


async def test_the_credential_goes_on_to_another_allowed_host() -> None:
    server = Server(*redirects("https://b.example.com/"), ok())
    await outcome(server, request(), authorise=bearer("hunter2", "*.example.com"))
    assert server.credentials == ["Bearer hunter2"] * 2


async def test_a_body_is_not_carried_to_a_host_that_is_not_allowed() -> None:
    server = Server(*redirects("https://evil.example/"), ok())
    assert type(await outcome(server, request(), authorise=bearer())) is Denied
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "target", ["http://api.example.com/", "ftp://api.example.com/", "https://u:p@api.example.com/"]
)
async def test_a_redirect_to_where_others_read_along_is_refused(target: str) -> None:
    server = Server(*redirects(target), ok())
    assert type(await outcome(server, request(), authorise=bearer())) is Unavailable
    assert len(server.requests) == 1


async def test_a_circle_of_redirects_ends() -> None:
    server = Server(*redirects("/again"))
    assert type(await outcome(server, request())) is Unavailable
    assert len(server.requests) == 6


async def test_a_write_redirected_ambiguously_is_of_unknown_outcome() -> None:
    server = Server(*redirects("/other", code=302), ok())
    assert type(await outcome(server, request(Effect.WRITE))) is OutcomeUnknown
    assert len(server.requests) == 1


async def test_a_write_answered_by_see_other_is_read_from_there() -> None:
    server = Server(*redirects("/result", code=303), ok())
    assert isinstance(await outcome(server, request(Effect.WRITE)), Reply)
    assert [(sent.method, sent.content) for sent in server.requests] == [("POST", b"body"), ("GET", b"")]
