from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.api.errors import (
    ConnectorError,
    Denied,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TooLarge,
    Unavailable,
)
from connectors.transport.messages import Effect, Reply
from tests.connectors.transport.client_rig import (
    EFFECTS,
    URL,
    Server,
    bearer,
    client_of,
    ok,
    outcome,
    request,
    status,
)
from tests.connectors.transport.jumping_clock import JumpingClock


async def test_a_reply_is_handed_back_whole() -> None:
    server = Server(ok(b"mail", **{"Content-Type": "text/plain"}))
    reply = await outcome(server, request(headers={"X-A": "1"}))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.url) == (200, b"mail", URL)
    assert reply.headers["content-type"] == "text/plain"
    (sent,) = server.requests
    assert sent.content == b"body"
    assert sent.headers["x-a"] == "1"
    assert sent.headers["user-agent"] == "imap-gateway"


async def test_a_stream_is_handed_over_at_its_header() -> None:
    async with client_of(Server(ok(b"x" * 200_000))) as client, client.stream(request()) as reply:
        assert reply.status == 200
        chunks = [chunk async for chunk in reply.chunks()]
    assert b"".join(chunks) == b"x" * 200_000
    assert max(map(len, chunks)) <= 65536


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, Rejected), (403, Denied), (404, NotFound), (410, NotFound), (413, TooLarge), (501, Rejected)],
)
@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_final_status_is_told_at_once(code: int, kind: type[ConnectorError], effect: Effect) -> None:
    server = Server(status(code, b"because of hunter2"))
    error = await outcome(server, request(effect, url=URL + "?q=query"), authorise=bearer())
    assert type(error) is kind
    assert len(server.requests) == 1
    assert "POST api.example.com/jmap was answered" in str(error)
    assert "hunter2" not in str(error)
    assert "query" not in str(error)


async def test_wanted_statuses_are_handed_back() -> None:
    for code in (401, 404, 429, 500, 503, 302):
        reply = await outcome(Server(status(code, b"why")), request(accept=frozenset({200, code})))
        assert isinstance(reply, Reply)
        assert (reply.status, reply.body) == (code, b"why")


async def test_an_unwanted_success_is_an_error() -> None:
    assert type(await outcome(Server(status(204)), request(accept=frozenset({200})))) is Unavailable


LOST = (
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("no HTTP"),
    httpx.ReadTimeout("silence"),
    httpx.WriteTimeout("silence"),
    httpx.DecodingError("garbage"),
    httpx.LocalProtocolError("odd"),
    OSError("odd"),
    KeyError("odd"),
)


@pytest.mark.parametrize("exc", LOST, ids=lambda exc: type(exc).__name__)
@pytest.mark.parametrize("effect", EFFECTS)
async def test_only_a_write_is_not_repeated_after_a_loss(effect: Effect, exc: Exception) -> None:
    server = Server(exc, ok())
    result = await outcome(server, request(effect))
    if effect is Effect.WRITE:
        assert type(result) is OutcomeUnknown
        assert len(server.requests) == 1
    else:
        assert isinstance(result, Reply)
        assert [sent.content for sent in server.requests] == [b"body"] * 2


@pytest.mark.parametrize("code", [500, 502, 504, 520])
@pytest.mark.parametrize("effect", EFFECTS)
async def test_only_a_write_is_not_repeated_after_a_failure(effect: Effect, code: int) -> None:
    server = Server(status(code), ok())
    result = await outcome(server, request(effect))
    if effect is Effect.WRITE:
        assert type(result) is OutcomeUnknown
        assert len(server.requests) == 1
    else:
        assert isinstance(result, Reply)


async def test_an_overloaded_server_has_not_written() -> None:
    server = Server(status(503))
    assert type(await outcome(server, request(Effect.WRITE))) is Unavailable
    assert len(server.requests) == 1


@pytest.mark.parametrize("effect", EFFECTS)
async def test_what_was_not_looked_at_is_sent_again(effect: Effect) -> None:
    for code in (408, 421, 425):
        assert isinstance(await outcome(Server(status(code), ok()), request(effect)), Reply)


@pytest.mark.parametrize(
    "exc", [httpx.ConnectError("refused"), httpx.ConnectTimeout("silence"), httpx.ProxyError("no")]
)
@pytest.mark.parametrize("effect", EFFECTS)
async def test_an_unreachable_server_is_told_at_once(effect: Effect, exc: Exception) -> None:
    server = Server(exc)
    assert type(await outcome(server, request(effect))) is Unavailable
    assert len(server.requests) == 1


async def test_attempts_end_and_their_pauses_grow() -> None:
    clock, server = JumpingClock(), Server(status(502))
    error = await outcome(server, request(), clock=clock)
    assert type(error) is Unavailable
    assert len(server.requests) == 4
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_pauses_count_into_what_a_call_may_wait() -> None:
    clock, server = JumpingClock(), Server(status(502))
    assert type(await outcome(server, request(), clock=clock, max_wait_s=1.2)) is Unavailable
    assert clock.slept == [0.5]


async def test_a_streamed_body_is_sent_anew() -> None:
    begun: list[int] = []

    async def source() -> AsyncIterator[bytes]:
        begun.append(1)
        for piece in (b"one", b"two"):
            yield piece

    server = Server(status(502), status(429, retry_after="1"), ok())
    assert isinstance(await outcome(server, request(content=source, content_octets=6)), Reply)
    assert [sent.content for sent in server.requests] == [b"onetwo"] * 3
    assert len(begun) == 3


async def test_the_error_of_a_bodys_source_is_handed_on() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one"
        raise NotFound("the message is gone")

    error = await outcome(Server(ok()), request(Effect.WRITE, content=source))
    assert type(error) is NotFound


@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_reply_that_is_too_long_is_not_asked_for_again(effect: Effect) -> None:
    server = Server(ok(b"x" * 1000))
    error = await outcome(server, request(effect, max_reply_octets=999))
    assert type(error) is (OutcomeUnknown if effect is Effect.WRITE else Unavailable)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "no address", "ftp://a.example/", "https://u:hunter2@a.example/", "https://a:b/"])
async def test_a_malformed_address_is_unavailable_and_not_shown(url: str) -> None:
    error = await outcome(Server(ok()), request(Effect.WRITE, url=url))
    assert type(error) is Unavailable
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization"])
async def test_a_credential_among_the_headers_is_a_mistake(name: str) -> None:
    async with client_of(Server(ok())) as client:
        with pytest.raises(ValueError, match="must not hold a credential"):
            await client.request(request(headers={name: "hunter2"}))
