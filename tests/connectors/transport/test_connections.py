from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.errors import Unavailable
from connectors.transport import connections
from connectors.transport.authorise import CredentialAuthoriser, NoAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.messages import Effect, Request
from connectors.transport.options import TransportOptions
from tests.connectors.transport.conftest import Certificates
from tests.connectors.transport.http2_server import Send, answer, http2_server
from tests.connectors.transport.jumping_clock import JumpingClock, settle
from tests.connectors.transport.raw_server import forever, hangs, raw_server, replies, sends


async def echo(_scope: dict[str, Any], body: bytes, send: Send) -> None:
    await answer(send, 200, body)


@contextlib.asynccontextmanager
async def client_for(
    certificates: Certificates, *, clock: JumpingClock | None = None, **options: Any
) -> AsyncIterator[HttpClient]:
    made = HttpClient(
        "account",
        NoAuthoriser(),
        TransportOptions(ca_file=str(certificates.ca_file), **options),
        clock=clock or JumpingClock(),
    )
    try:
        yield made
    finally:
        await made.close()


def read(url: str, body: bytes = b"") -> Request:
    return Request("POST", url, content=body, effect=Effect.READ)


async def readable(client: HttpClient) -> None:
    """Wait until something lies on the shared connection that nobody reads."""
    lane = client._connections._shared
    assert lane is not None
    (stream,) = lane.streams.values()
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Of the same socket, as asyncio lets nobody watch one that it has itself.
    with stream.get_extra_info("socket").dup() as watched:
        loop.add_reader(watched, arrived.set)
        await arrived.wait()
        loop.remove_reader(watched)


class Gate:
    """Answers `/held` only once opened; counts who stands before it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)

    async def __call__(self, scope: dict[str, Any], body: bytes, send: Send) -> None:
        if scope["path"] == "/held":
            self.arrived.release()
            await self.opened.wait()
        await answer(send, 200, body)


async def test_http_2_is_spoken_over_one_connection(certificates: Certificates) -> None:
    async with http2_server(certificates, echo) as server, client_for(certificates) as client:
        bodies = [str(number).encode() for number in range(8)]
        replies = await asyncio.gather(*(client.request(read(server.url(), body)) for body in bodies))
        assert [reply.body for reply in replies] == bodies
        assert server.versions == ["2"] * 8
        assert len(set(server.clients)) == 1


async def test_http_2_carries_long_bodies_both_ways(certificates: Certificates) -> None:
    async with http2_server(certificates, echo) as server, client_for(certificates) as client:
        bodies = [bytes([number]) * 1_500_000 for number in range(3)]
        replies = await asyncio.gather(*(client.request(read(server.url(), body)) for body in bodies))
        assert [reply.body for reply in replies] == bodies
        assert server.versions == ["2"] * 3


async def test_a_header_beyond_all_measure_is_refused(certificates: Certificates) -> None:
    async def answering(_scope: dict[str, Any], _body: bytes, send: Send) -> None:
        await answer(send, 200, b"", *((b"x-%d" % number, b"x" * 1000) for number in range(100)))

    async with http2_server(certificates, answering) as server, client_for(certificates, attempts=1) as client:
        with pytest.raises(Unavailable):
            await client.request(read(server.url()))
        assert server.versions == ["2"]


async def test_writes_and_streams_have_a_connection_of_their_own(certificates: Certificates) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"mail"

    async with http2_server(certificates, echo) as server, client_for(certificates) as client:
        await client.request(Request("POST", server.url(), content=b"x", effect=Effect.WRITE))
        await client.request(Request("POST", server.url(), content=source, effect=Effect.READ))
        async with client.stream(Request("POST", server.url(), content=b"x", effect=Effect.READ)) as reply:
            assert [chunk async for chunk in reply.chunks()] == [b"x"]
        assert server.versions == ["1.1"] * 3


async def test_a_server_without_http_2_is_met_with_many_connections(certificates: Certificates) -> None:
    gate = Gate()
    async with http2_server(certificates, gate, alpn=("http/1.1",)) as server, client_for(certificates) as client:
        await client.request(read(server.url()))
        tasks = [asyncio.create_task(client.request(read(server.url("/held")))) for _ in range(3)]
        for _ in tasks:
            await gate.arrived.acquire()
        gate.opened.set()
        await asyncio.gather(*tasks)
        assert server.versions == ["1.1"] * 4
        assert len(set(server.clients)) == 4


async def test_the_first_requests_to_a_server_share_what_the_first_finds_out(certificates: Certificates) -> None:
    gate = Gate()
    for alpn, number in ((("http/1.1",), 3), (("h2",), 1)):
        gate.opened.clear()
        async with http2_server(certificates, gate, alpn=alpn) as server, client_for(certificates) as client:
            tasks = [asyncio.create_task(client.request(read(server.url("/held")))) for _ in range(3)]
            for _ in tasks:
                await gate.arrived.acquire()
            gate.opened.set()
            await asyncio.gather(*tasks)
            assert len(set(server.clients)) == number


async def test_those_that_wait_for_a_connection_share_its_failure(certificates: Certificates) -> None:
    async with raw_server(lambda peer: peer.until_closed()) as server:
        async with client_for(certificates, connect_timeout_s=0.1) as client:
            requests = (client.request(read(server.url(scheme="https"))) for _ in range(4))
            outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
        assert len(server.peers) == 1
        await server.emptied.wait()


async def test_a_request_given_up_does_not_harm_those_beside_it(certificates: Certificates) -> None:
    gate = Gate()
    async with http2_server(certificates, gate) as server, client_for(certificates) as client:
        given_up = asyncio.create_task(client.request(read(server.url("/held"), b"x" * 100_000)))
        kept = asyncio.create_task(client.request(read(server.url("/held"), b"kept")))
        await gate.arrived.acquire()
        await gate.arrived.acquire()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert client.limit.held == 2
        gate.opened.set()
        assert (await kept).body == b"kept"
        assert (await client.request(read(server.url(), b"next"))).body == b"next"
        await settle()
        assert client.limit.held == 0
        assert set(server.versions) == {"2"}
        assert len(set(server.clients)) == 1


async def test_a_connection_on_which_a_request_failed_is_not_used_again(certificates: Certificates) -> None:
    async def answering(scope: dict[str, Any], body: bytes, send: Send) -> None:
        await answer(send, 200, b"x" * 5000 if scope["path"] == "/long" else body)

    async with http2_server(certificates, answering) as server, client_for(certificates) as client:
        with pytest.raises(Unavailable, match="more than 1000 octets"):
            await client.request(Request("GET", server.url("/long"), effect=Effect.READ, max_reply_octets=1000))
        await client.request(read(server.url()))
        await client.request(read(server.url()))
        first, second, third = server.clients
        assert first != second
        assert second == third


async def test_a_connection_is_replaced_before_a_server_would_close_it(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_REQUESTS", 3)
    clock = JumpingClock()
    async with http2_server(certificates, echo) as server, client_for(certificates, clock=clock) as client:
        for _ in range(4):
            await client.request(read(server.url()))
        assert [server.clients.count(port) for port in dict.fromkeys(server.clients)] == [3, 1]
        clock.advance(connections.MAX_AGE_S + 1)
        await client.request(read(server.url()))
        assert len(set(server.clients)) == 3


async def test_a_connection_that_the_server_has_left_is_found_out_before_it_is_used(certificates: Certificates) -> None:
    clock = JumpingClock()
    async with (
        http2_server(certificates, echo, keep_alive_timeout=0.05) as server,
        client_for(certificates, clock=clock) as client,
    ):
        await client.request(read(server.url()))
        await readable(client)
        clock.advance(connections.LOOK_S + 0.1)
        await client.request(read(server.url()))
        assert len(set(server.clients)) == 2
        assert clock.slept == []


async def test_a_reply_cut_off_is_asked_for_again(certificates: Certificates) -> None:
    cut = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    async with (
        raw_server(cut, forever, tls=certificates.server_context()) as server,
        client_for(certificates) as client,
    ):
        assert (await client.request(read(server.url(scheme="https"), b"whole"))).body == b"whole"
        assert len(server.peers) == 2


async def test_closing_ends_what_is_under_way(certificates: Certificates) -> None:
    gate = Gate()
    async with http2_server(certificates, gate) as server, client_for(certificates) as client:
        waiting = asyncio.create_task(client.request(read(server.url("/held"))))
        await gate.arrived.acquire()
        await client.close()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable, match="closed"):
            await client.request(read(server.url()))
        gate.opened.set()


async def test_closing_in_the_middle_of_a_handshake_leaves_no_connection(certificates: Certificates) -> None:
    async with raw_server(lambda peer: peer.until_closed()) as server, client_for(certificates) as client:
        waiting = asyncio.create_task(client.request(read(server.url(scheme="https"))))
        await server.connected.wait()
        await client.close()
        with pytest.raises(Unavailable):
            await waiting
        await server.emptied.wait()


async def test_a_silent_connection_over_tls_is_given_up(certificates: Certificates) -> None:
    async with raw_server(hangs, forever, tls=certificates.server_context()) as server:
        async with client_for(certificates, timeout_s=0.1) as client:
            assert (await client.request(read(server.url(scheme="https"), b"again"))).body == b"again"
        await server.emptied.wait()


async def test_requests_can_go_through_a_proxy(certificates: Certificates) -> None:
    async with raw_server(forever) as proxy, client_for(certificates, proxy=proxy.url()) as client:
        assert (await client.request(read("http://mail.example/jmap", b"x"))).body == b"x"
        assert proxy.heads[0].startswith(b"POST http://mail.example/jmap HTTP/1.1\r\n")


@pytest.mark.parametrize("effect", Effect)
async def test_a_proxy_that_refuses_makes_a_server_unreachable(certificates: Certificates, effect: Effect) -> None:
    async with raw_server(replies(403)) as proxy, client_for(certificates, proxy=proxy.url()) as client:
        with pytest.raises(Unavailable):
            await client.request(Request("POST", "https://mail.example/", content=b"x", effect=effect))
        assert [head.split(b"\r\n")[0] for head in proxy.heads] == [b"CONNECT mail.example:443 HTTP/1.1"]


async def test_logs_at_debug_show_no_secret(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    async def answering(_scope: dict[str, Any], _body: bytes, send: Send) -> None:
        await answer(send, 200, b"reply-secret", (b"x-secret", b"field-secret"))

    caplog.set_level(logging.DEBUG)
    authorise = CredentialAuthoriser(FixedCredential(BearerCredential("jo", Secret("hunter2"))), ["localhost"])
    options = TransportOptions(ca_file=str(certificates.ca_file))
    async with http2_server(certificates, answering) as server:
        client = HttpClient("account", authorise, options)
        for effect in (Effect.READ, Effect.WRITE):
            request = Request("POST", server.url("/path?q=query-secret"), content=b"body-secret", effect=effect)
            await client.request(request)
        await client.close()
    ours = [record for record in caplog.records if not record.name.startswith("hypercorn")]
    text = "\n".join(record.getMessage() for record in ours)
    assert f"account: POST localhost:{server.port}/path -> 200" in text
    assert "secret" not in text
    assert "hunter2" not in text
