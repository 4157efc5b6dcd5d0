from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx
import pytest
import respx

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, Secret
from connectors.api.errors import (
    AuthExpired,
    ConnectorError,
    Denied,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from connectors.transport.authorise import Authoriser, CredentialAuthoriser, NoAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.limits import QuotaBudget
from connectors.transport.messages import Effect, Reply, Request
from connectors.transport.options import TransportOptions
from connectors.transport.priority import Priority, prioritised
from connectors.transport.retry_after import MAX_RETRY_AFTER_S
from tests.connectors.transport.jumping_clock import JumpingClock, settle
from tests.connectors.transport.raw_server import Peer, forever, hangs, raw_server, sends

URL = "https://api.example.com/jmap"
EFFECTS = tuple(Effect)
REPEATABLE = (Effect.READ, Effect.IDEMPOTENT_WRITE)


class Server(httpx.MockTransport):
    """Gives the replies in order, the last one for ever; an exception is raised in place of a reply."""

    def __init__(self, *replies: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__(self._reply)
        self.requests: list[httpx.Request] = []
        self._replies = list(replies)

    async def _reply(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            return reply(request)
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def credentials(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.requests]


class GatedServer(httpx.AsyncBaseTransport):
    """Answers 200 once the gate is open; `most` is how many were there at a time, `order` their paths."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.here = 0
        self.most = 0
        self.order: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.order.append(request.url.path)
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            await self.gate.wait()
        finally:
            self.here -= 1
        return httpx.Response(200)


def ok(body: bytes = b"fine", **headers: str) -> httpx.Response:
    return httpx.Response(200, content=body, headers=headers)


def status(code: int, body: bytes = b"", **headers: str) -> httpx.Response:
    return httpx.Response(code, content=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def request(effect: Effect = Effect.READ, url: str = URL, method: str = "POST", **more: Any) -> Request:
    return Request(method, url, effect=effect, **{"content": b"body", **more})


def bearer(token: str = "hunter2", *allowed: str) -> CredentialAuthoriser:
    source = FixedCredential(BearerCredential("jo", Secret(token)))
    return CredentialAuthoriser(source, allowed or ["api.example.com"])


@contextlib.asynccontextmanager
async def client_of(
    transport: httpx.AsyncBaseTransport | None,
    *,
    authorise: Authoriser | None = None,
    clock: JumpingClock | None = None,
    budget: QuotaBudget | None = None,
    **options: Any,
) -> AsyncIterator[HttpClient]:
    made = HttpClient(
        "account",
        authorise or NoAuthoriser(),
        TransportOptions(**options),
        clock=clock or JumpingClock(),
        transport=transport,
        budget=budget,
        chance=lambda: 0.0,
    )
    try:
        yield made
    finally:
        assert made.limit.held == 0 or made._is_closed
        await made.close()
        await made.close()


async def outcome(server: httpx.AsyncBaseTransport, sent: Request, **options: Any) -> Reply | ConnectorError:
    async with client_of(server, **options) as client:
        try:
            return await client.request(sent)
        except ConnectorError as exc:
            return exc


# -- replies ----------------------------------------------------------------------------------------------------------


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


# -- retries ----------------------------------------------------------------------------------------------------------

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


# -- throttling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_throttled_request_waits_as_long_as_asked(effect: Effect, code: int) -> None:
    for value in ("7", "Fri, 02 Jan 2026 03:04:12 GMT"):
        clock, server = JumpingClock(), Server(status(code, retry_after=value), ok())
        assert isinstance(await outcome(server, request(effect), clock=clock), Reply)
        assert clock.slept == [7.0]


async def test_throttling_without_a_time_waits_longer_each_time() -> None:
    clock, server = JumpingClock(), Server(status(429))
    error = await outcome(server, request(), clock=clock)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 4.0
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_a_server_that_says_now_is_given_a_moment() -> None:
    clock = JumpingClock()
    assert isinstance(await outcome(Server(status(429, retry_after="0"), ok()), request(), clock=clock), Reply)
    assert clock.slept == [0.5]


async def test_a_long_wait_is_left_to_the_caller_and_holds_back_all() -> None:
    clock, server = JumpingClock(), Server(status(429, retry_after="600"), ok())
    async with client_of(server, clock=clock) as client:
        with pytest.raises(RateLimited) as caught:
            await client.request(request())
        assert caught.value.retry_after_s == 600.0
        clock.advance(500)
        with pytest.raises(RateLimited) as caught:
            await client.request(request())
        assert caught.value.retry_after_s == pytest.approx(100.0)
        assert len(server.requests) == 1
        clock.advance(50)
        await client.request(request())
        assert clock.slept == [pytest.approx(50.0)]


async def test_an_absurd_wait_is_bounded() -> None:
    error = await outcome(Server(status(429, retry_after="9" * 50)), request())
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == MAX_RETRY_AFTER_S


async def test_one_throttled_request_holds_back_all_others() -> None:
    clock = JumpingClock()
    seen: list[tuple[str, float]] = []

    def reply(sent: httpx.Request) -> httpx.Response:
        seen.append((sent.url.path, clock.monotonic()))
        return status(429, retry_after="30") if len(seen) == 1 else ok()

    async with client_of(Server(reply), clock=clock, max_concurrent=1) as client:
        await asyncio.gather(*(client.request(request(url=f"{URL}/{name}")) for name in "abc"))
    assert seen[0] == ("/jmap/a", 0.0)
    assert len(seen) == 4
    assert all(when >= 30.0 for _, when in seen[1:])


async def test_a_connector_can_hold_back_all_requests() -> None:
    clock = JumpingClock()
    async with client_of(Server(ok()), clock=clock) as client:
        client.hold_back(12)
        await client.request(request(is_long_lived=True))
        assert clock.slept == [12.0]


# -- turns ------------------------------------------------------------------------------------------------------------


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=3) as client:
        tasks = [asyncio.create_task(client.request(request())) for _ in range(10)]
        await settle()
        assert server.most == 3
        server.gate.set()
        await asyncio.gather(*tasks)
        assert server.most == 3
        assert len(server.order) == 10


async def test_interactive_requests_overtake_those_in_the_background() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=1) as client:
        tasks = []
        for name, priority in (("1", Priority.BACKGROUND), ("2", Priority.BACKGROUND), ("3", Priority.INTERACTIVE)):
            with prioritised(priority):
                tasks.append(asyncio.create_task(client.request(request(url=f"https://a.example/{name}"))))
            await settle()
        server.gate.set()
        await asyncio.gather(*tasks)
        assert server.order == ["/1", "/3", "/2"]


async def test_a_turn_that_does_not_come_is_not_waited_for_for_ever() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=1, max_wait_s=0.02) as client:
        first = asyncio.create_task(client.request(request()))
        await settle()
        with pytest.raises(RateLimited, match="no turn in time"):
            await client.request(request())
        server.gate.set()
        await first


async def test_a_stream_keeps_its_turn_and_a_long_lived_one_takes_none() -> None:
    async with client_of(Server(ok())) as client:
        async with client.stream(request()):
            assert client.limit.held == 1
        assert client.limit.held == 0
        async with client.stream(request(is_long_lived=True)):
            assert client.limit.held == 0


async def test_every_attempt_is_paid_for() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 100.0, clock)
    async with client_of(Server(status(502), ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=60))
    assert clock.slept == [0.5, pytest.approx(19.5)]


async def test_throttling_empties_the_budget() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 100.0, clock)
    async with client_of(Server(status(429, retry_after="5"), ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=10))
    assert clock.monotonic() == pytest.approx(15.0)


async def test_a_quota_that_does_not_come_is_not_waited_for_for_ever() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(10, 1000.0, clock)
    async with client_of(Server(ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=10))
        with pytest.raises(RateLimited) as caught:
            await client.request(request(cost=5))
        assert caught.value.retry_after_s == pytest.approx(500.0)
        assert clock.slept == []


# -- credentials ------------------------------------------------------------------------------------------------------


class TokenSource:
    """Hands out `token-N`, the next N after each refusal, up to `last`."""

    def __init__(self, last: int = 99) -> None:
        self.number = 1
        self.last = last
        self.refusals = 0

    async def get(self) -> Credential | None:
        await asyncio.sleep(0)
        return BearerCredential("jo", Secret(f"token-{self.number}"))

    async def refused(self, credential: Credential) -> None:
        await asyncio.sleep(0)
        self.refusals += 1
        self.number = min(self.number + 1, self.last)


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
    assert "not among the hosts" in str(error)
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


# -- redirects --------------------------------------------------------------------------------------------------------


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


# -- cancellation and real sockets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(60))
async def test_cancelled_anywhere_the_client_stays_usable(turns: int) -> None:
    async with raw_server(forever) as server:
        source = TokenSource()
        authorise = CredentialAuthoriser(source, [server.url()])
        async with client_of(None, authorise=authorise, max_concurrent=1) as client:
            for effect in EFFECTS:
                task = asyncio.create_task(client.request(request(effect, url=server.url())))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            assert (await client.request(request(url=server.url()))).body == b"body"
        await server.emptied.wait()


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_stream_cancelled_anywhere_leaves_nothing_behind(turns: int) -> None:
    async def long(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.reply(200, b"x" * 300_000)

    async def read(client: HttpClient, url: str) -> int:
        async with client.stream(request(url=url)) as reply:
            return sum([len(chunk) async for chunk in reply.chunks()])

    async with raw_server(long) as server, client_of(None, max_concurrent=1) as client:
        task = asyncio.create_task(read(client, server.url()))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await read(client, server.url()) == 300_000
        await client.close()
        await server.emptied.wait()


async def test_a_write_whose_reply_is_lost_was_sent_once() -> None:
    for script in (sends(b""), sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), sends(b"junk\r\n\r\n")):
        async with raw_server(script) as server, client_of(None) as client:
            with pytest.raises(OutcomeUnknown):
                await client.request(request(Effect.WRITE, url=server.url()))
            assert len(server.heads) == 1


async def test_a_silent_server_is_asked_twice() -> None:
    async with raw_server(hangs) as server, client_of(None, timeout_s=0.05) as client:
        with pytest.raises(Unavailable, match="nothing happened"):
            await client.request(request(url=server.url()))
        assert len(server.heads) == 2
        await server.emptied.wait()


@pytest.mark.parametrize("effect", [Effect.READ, Effect.WRITE])
async def test_a_stream_that_breaks_off_says_so(effect: Effect) -> None:
    script = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    async with raw_server(script) as server, client_of(None) as client:
        async with client.stream(request(effect, url=server.url())) as reply:
            chunks = reply.chunks()
            assert await anext(chunks) == b"abc"
            with pytest.raises(OutcomeUnknown if effect is Effect.WRITE else Unavailable):
                await anext(chunks)
        assert client.limit.held == 0


async def test_a_stream_left_early_drops_its_connection() -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    async with raw_server(endless) as server, client_of(None) as client:
        async with client.stream(request(url=server.url())) as reply:
            async for chunk in reply.chunks():
                assert chunk
                break
        await server.emptied.wait()


async def test_what_a_slow_reader_has_not_taken_stays_at_the_server() -> None:
    sent = 0

    async def endless(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)
            sent += 65536
            peer.requested.set()

    async with (
        raw_server(endless) as server,
        client_of(None) as client,
        client.stream(request(url=server.url())) as reply,
    ):
        assert await anext(reply.chunks())
        before = -1
        while sent != before:
            before = sent
            await settle()
        # The buffers of two sockets, and no more.
        assert sent < 20_000_000


async def test_a_closed_client_says_so() -> None:
    async with raw_server(hangs) as server, client_of(None) as client:
        waiting = [
            asyncio.create_task(client.request(request(effect, url=server.url())))
            for effect in (Effect.READ, Effect.WRITE)
        ]
        await server.requested.wait()
        await client.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in outcomes] in ([Unavailable, OutcomeUnknown], [Unavailable, Unavailable])
        with pytest.raises(Unavailable, match="closed"):
            await client.request(request(url=server.url()))
        await server.emptied.wait()


async def test_single_replies_can_be_mocked_with_respx(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.post(URL).mock(side_effect=[httpx.ConnectError("refused"), httpx.Response(200, text="fine")])
    async with client_of(None) as client:
        with pytest.raises(Unavailable):
            await client.request(request())
        assert (await client.request(request())).body == b"fine"
    assert route.call_count == 2
