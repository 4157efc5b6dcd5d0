"""What is left of calls of the HTTP client that are given up, and of connections that break."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
import respx

from connectors.api.errors import (
    OutcomeUnknown,
    Unavailable,
)
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.messages import Effect
from tests.connectors.transport.client_rig import (
    EFFECTS,
    URL,
    TokenSource,
    client_of,
    request,
)
from tests.connectors.transport.jumping_clock import settle
from tests.connectors.transport.raw_server import Peer, forever, hangs, raw_server, sends


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
