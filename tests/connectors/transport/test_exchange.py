from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from connectors.api.errors import NotFound
from connectors.transport.exchange import Answer, Outgoing, exchange
from connectors.transport.messages import Content
from connectors.transport.retry import AttemptFailed, Trouble
from tests.connectors.transport.conftest import Certificates
from tests.connectors.transport.raw_server import Peer, Script, forever, hangs, raw_server, replies, sends

SHORT_S = 0.05
"""For what is to run out."""

PATIENT_S = 0.5
"""For what is not to run out, on a busy machine either."""


@pytest.fixture
async def transport() -> AsyncIterator[httpx.AsyncHTTPTransport]:
    made = httpx.AsyncHTTPTransport(trust_env=False)
    yield made
    await made.aclose()


def outgoing(
    url: str,
    *,
    method: str = "POST",
    content: Content = b"",
    content_octets: int | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 5.0,
    connect_timeout_s: float = 5.0,
    is_whole: bool = True,
    is_long_lived: bool = False,
) -> Outgoing:
    return Outgoing(
        method,
        url,
        headers or {},
        content,
        content_octets,
        connect_timeout_s,
        timeout_s,
        is_whole,
        is_long_lived=is_long_lived,
    )


async def read(answer: Answer, limit: int = 1_000_000, within_s: float = 5.0) -> bytes:
    try:
        return await answer.read(limit, within_s)
    finally:
        await answer.close()


async def trouble(transport: httpx.AsyncBaseTransport, sent: Outgoing) -> AttemptFailed:
    """Return the failure of an exchange, wherever in it."""
    with pytest.raises(AttemptFailed) as caught:  # noqa: PT012
        answer = await exchange(transport, sent)
        await read(answer)
    return caught.value


def source(*pieces: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def yielded() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return yielded


async def test_a_connection_is_used_again(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(forever) as server:
        for body in (b"one", b"two"):
            assert await read(await exchange(transport, outgoing(server.url(), content=body))) == body
        assert len(server.peers) == 1


async def test_whole_replies_may_be_compressed_and_streams_not(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(replies(200, gzip.compress(b"mail" * 1000), "Content-Encoding: gzip")) as server:
        for is_whole in (True, False):
            answer = await exchange(transport, outgoing(server.url(), is_whole=is_whole))
            assert await read(answer) == b"mail" * 1000
        first, second = (head.lower() for head in server.heads)
        assert b"accept-encoding: gzip, deflate\r\n" in first
        assert b"accept-encoding: identity\r\n" in second


@pytest.mark.parametrize("length", [None, 300_006])
async def test_a_body_is_streamed_in_small_pieces(transport: httpx.AsyncHTTPTransport, length: int | None) -> None:
    content = source(b"abc", b"", b"x" * 300_000, b"def")
    async with raw_server(forever) as server:
        answer = await exchange(transport, outgoing(server.url(), content=content, content_octets=length))
        assert await read(answer) == b"abc" + b"x" * 300_000 + b"def"
        assert (b"transfer-encoding: chunked" in server.heads[0].lower()) is (length is None)
        assert (b"content-length: 300006" in server.heads[0].lower()) is (length is not None)


async def test_a_long_body_in_memory_goes_out_in_small_pieces_too() -> None:
    pieces: list[bytes] = []

    class Reading(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            assert request.headers["content-length"] == "300000"
            pieces.extend([piece async for piece in request.stream])
            return httpx.Response(200)

    for _ in range(2):
        await exchange(Reading(), outgoing("https://a.example/", content=b"x" * 300_000))
    assert b"".join(pieces) == b"x" * 600_000
    assert max(map(len, pieces)) == 65536


async def test_a_source_that_fails_is_closed_and_its_error_is_its_own(transport: httpx.AsyncHTTPTransport) -> None:
    closed: list[bool] = []

    async def failing() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            raise NotFound("the message is gone")
        finally:
            closed.append(True)

    async with raw_server(forever) as server:
        with pytest.raises(NotFound, match="the message is gone"):
            await exchange(transport, outgoing(server.url(), content=failing))
        await server.emptied.wait()
    assert closed == [True]


async def test_a_source_is_closed_when_the_connection_breaks(transport: httpx.AsyncHTTPTransport) -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(True)

    async def breaks(peer: Peer) -> None:
        await peer.reader.readexactly(1000)
        peer.writer.transport.abort()

    async with raw_server(breaks) as server:
        assert (await trouble(transport, outgoing(server.url(), content=endless))).trouble is Trouble.LOST
    assert closed == [True]


async def test_a_server_may_refuse_a_body_before_it_was_sent(transport: httpx.AsyncHTTPTransport) -> None:
    async def refuses(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.reply(413)
        await peer.until_closed()

    async with raw_server(refuses) as server:
        answer = await exchange(transport, outgoing(server.url(), content=source(b"x" * 1000, b"y" * 1000)))
        assert answer.status == 413
        await answer.close()
        await server.emptied.wait()


async def test_a_source_of_the_wrong_length_is_found_out(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(forever) as server:
        for length in (2, 4):
            sent = outgoing(server.url(), content=source(b"abc"), content_octets=length)
            failure = await trouble(transport, sent)
            assert failure.trouble is Trouble.UNUSABLE
            assert f"{length} were promised" in failure.what
        await server.emptied.wait()


async def takes_nothing(peer: Peer) -> None:
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def trickles(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await peer.send(b"x")
        await asyncio.sleep(SHORT_S / 5)


async def only_promises(peer: Peer) -> None:
    await peer.request()
    while True:
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(SHORT_S / 5)


@pytest.mark.parametrize(
    "script",
    [hangs, takes_nothing, trickles, only_promises, sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")],
)
async def test_no_wait_is_longer_than_the_time_out(transport: httpx.AsyncHTTPTransport, script: Script) -> None:
    async def kept_open(peer: Peer) -> None:
        await script(peer)
        await peer.until_closed()

    async def endless() -> AsyncIterator[bytes]:
        while script is takes_nothing:
            yield b"x" * 65536

    async with raw_server(kept_open) as server:
        failure = await trouble(transport, outgoing(server.url(), content=endless, timeout_s=SHORT_S))
        assert failure.trouble is Trouble.SILENT
        assert failure.what == f"POST 127.0.0.1:{server.port}/: nothing happened for 0.05 s"


async def test_a_slow_upload_that_goes_on_is_not_silent(transport: httpx.AsyncHTTPTransport) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(PATIENT_S / 3)
            yield b"x"

    async with raw_server(forever) as server:
        answer = await exchange(transport, outgoing(server.url(), content=slow, timeout_s=PATIENT_S))
        assert await read(answer) == b"x" * 4


async def test_a_long_lived_stream_may_bring_little(transport: httpx.AsyncHTTPTransport) -> None:
    async def events(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(PATIENT_S / 3)
            await peer.send(b"x")

    async with raw_server(events) as server:
        answer = await exchange(transport, outgoing(server.url(), timeout_s=PATIENT_S, is_long_lived=True))
        assert await read(answer) == b"x" * 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"* OK IMAP4rev1 ready\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 10,
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    ],
    ids=range(12),
)
async def test_what_is_no_complete_http_is_lost(transport: httpx.AsyncHTTPTransport, data: bytes) -> None:
    async with raw_server(sends(data)) as server:
        assert (await trouble(transport, outgoing(server.url()))).trouble is Trouble.LOST
        await server.emptied.wait()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (bytes(2000), ()),
        (gzip.compress(bytes(100_000_000)), ("Content-Encoding: gzip",)),
        (b"no gzip", ("Content-Encoding: gzip",)),
        (gzip.compress(b"abc")[:-1], ("Content-Encoding: gzip",)),
        (b"abc", ("Content-Encoding: br",)),
    ],
    ids=["long", "bomb", "no gzip", "cut", "unknown"],
)
async def test_a_reply_too_long_or_badly_coded_is_unusable(
    transport: httpx.AsyncHTTPTransport, body: bytes, fields: tuple[str, ...]
) -> None:
    async with raw_server(replies(200, body, *fields)) as server:
        answer = await exchange(transport, outgoing(server.url()))
        with pytest.raises(AttemptFailed) as caught:
            await read(answer, limit=1000)
        assert caught.value.trouble is Trouble.UNUSABLE
        await server.emptied.wait() if len(body) > 1000 else None


async def test_an_endless_reply_is_cut_at_the_limit(transport: httpx.AsyncHTTPTransport) -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    async with raw_server(endless) as server:
        answer = await exchange(transport, outgoing(server.url()))
        with pytest.raises(AttemptFailed, match="more than 100000 octets"):
            await read(answer, limit=100_000)
        await server.emptied.wait()


async def test_a_whole_reply_has_to_come_in_time(transport: httpx.AsyncHTTPTransport) -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 2000)
            await asyncio.sleep(SHORT_S / 5)

    async with raw_server(slow) as server:
        answer = await exchange(transport, outgoing(server.url()))
        with pytest.raises(AttemptFailed) as caught:
            await read(answer, within_s=SHORT_S)
        assert caught.value.trouble is Trouble.SILENT
        await server.emptied.wait()


async def test_a_port_where_nobody_listens_is_unreachable(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(forever) as server:
        url = server.url("/x?token=hunter2")
    failure = await trouble(transport, outgoing(url))
    assert failure.trouble is Trouble.UNREACHABLE
    assert "hunter2" not in failure.what


@pytest.mark.parametrize("exc", [httpx.ConnectError("no such host"), httpx.ConnectTimeout("silence")])
async def test_an_unknown_host_is_unreachable(exc: httpx.HTTPError) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise exc

    failure = await trouble(httpx.MockTransport(fail), outgoing("https://nowhere.example/"))
    assert failure.trouble is Trouble.UNREACHABLE


async def test_an_untrusted_certificate_is_unreachable(
    transport: httpx.AsyncHTTPTransport, certificates: Certificates
) -> None:
    async with raw_server(forever, tls=certificates.server_context()) as server:
        failure = await trouble(transport, outgoing(server.url(scheme="https")))
        assert failure.trouble is Trouble.UNREACHABLE
        assert "certificate" in failure.what.lower()


async def test_a_server_without_tls_is_called_that(transport: httpx.AsyncHTTPTransport) -> None:
    async def speaks_first(peer: Peer) -> None:
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.until_closed()

    async with raw_server(speaks_first) as server:
        failure = await trouble(transport, outgoing(server.url(scheme="https")))
        assert failure.trouble is Trouble.UNREACHABLE
        assert failure.what.endswith("does not speak TLS")


async def test_a_server_that_never_shakes_hands_is_unreachable(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(lambda peer: peer.until_closed()) as server:
        failure = await trouble(transport, outgoing(server.url(scheme="https"), connect_timeout_s=SHORT_S))
        assert failure.trouble is Trouble.UNREACHABLE
        assert failure.what.endswith("no connection within 0.05 s")
        await server.emptied.wait()


async def test_an_exchange_cut_off_in_the_handshake_leaves_no_connection(transport: httpx.AsyncHTTPTransport) -> None:
    async def reads_hello(peer: Peer) -> None:
        await peer.reader.read(100)
        peer.requested.set()
        await peer.until_closed()

    async with raw_server(reads_hello) as server:
        task = asyncio.create_task(exchange(transport, outgoing(server.url(scheme="https"))))
        await server.requested.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.emptied.wait()


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://a.example/", {"X-Key": "hunter2\r\nX-Evil: 1"}),
        ("https://a.example/", {"X-Key\n": "hunter2"}),
        ("https://a.example/hunter2\n", {}),
        ("https://a%2eexample/hunter2", {}),
        ("https://u:hunter2@a.example/", {}),
        ("hunter2", {}),
        ("https://" + "a" * 70_000 + "/hunter2", {}),
    ],
    ids=range(7),
)
async def test_what_cannot_be_put_into_http_is_not_sent(
    transport: httpx.AsyncHTTPTransport, url: str, headers: dict[str, str]
) -> None:
    failure = await trouble(transport, outgoing(url, headers=headers))
    assert failure.trouble in (Trouble.UNREACHABLE, Trouble.UNSENT, Trouble.LOST)
    assert "hunter2\r" not in failure.what
    assert "Evil" not in failure.what


async def test_an_exchange_cut_off_leaves_no_connection(transport: httpx.AsyncHTTPTransport) -> None:
    async with raw_server(hangs, forever) as server:
        task = asyncio.create_task(exchange(transport, outgoing(server.url())))
        await server.requested.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.emptied.wait()
        assert await read(await exchange(transport, outgoing(server.url(), content=b"x"))) == b"x"
