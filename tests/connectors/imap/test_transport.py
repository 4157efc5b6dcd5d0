"""The stream below IMAP: flow control, ends and loops of either kind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
import uvloop

from connectors.api.types import BytesContent
from connectors.imap.errors import ConnectionLost, SilentServer
from connectors.imap.names import INBOX
from connectors.imap.transport import PAUSE_OCTETS, Transport
from tests.conformance.rig import mail, octets
from tests.connectors.imap.rig import DovecotRig
from tests.connectors.imap.scripted import Peer, scripted
from tests.servers.dovecot import Dovecot


async def connected(port: int, timeout_s: float = 5.0) -> Transport:
    return await Transport.connect("127.0.0.1", port, None, timeout_s)


async def test_a_server_faster_than_the_reader_is_held_back() -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        for _ in range(400):
            await peer.send(b"x" * 65536)
            sent += 65536

    async with scripted(script) as server:
        transport = await connected(server.port)
        received = len(await transport.read())
        # As long as nobody reads, no more than the buffers of both kernels' sides and ours is under way.
        for _ in range(50):
            await asyncio.sleep(0)
        assert sent < 400 * 65536
        while data := await transport.read():
            assert len(data) <= PAUSE_OCTETS + 256 * 1024
            received += len(data)
        assert received == 400 * 65536
        transport.abort()
        await transport.close()


async def test_what_came_before_the_end_is_read_first() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"last words")

    async with scripted(script) as server:
        transport = await connected(server.port)
        assert await transport.read() == b"last words"
        assert await transport.read() == b""
        assert transport.is_ended
        await transport.close()


async def test_silence_and_a_server_that_takes_nothing_are_given_up() -> None:
    stop = asyncio.Event()

    async def script(_peer: Peer) -> None:
        await stop.wait()

    async with scripted(script) as server:
        transport = await connected(server.port, timeout_s=0.1)
        with pytest.raises(SilentServer):
            await transport.read()
        transport.send(b"x" * (64 << 20))
        with pytest.raises(ConnectionLost, match="took no data"):
            await transport.drain()
        transport.abort()
        await transport.close()
        stop.set()


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("waits_in", ["drain", "read"])
def test_a_server_behind_a_thin_line_is_waited_for_as_long_as_it_takes_what_is_sent(
    new_loop: Callable[[], asyncio.AbstractEventLoop], waits_in: str
) -> None:
    """What is sent waits in the kernel for longer than the time-out, but it goes."""
    size, piece, pause_s = (6 << 20 if waits_in == "drain" else 1 << 20), 64 << 10, 0.02

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = size
        with contextlib.suppress(EOFError, OSError):
            while left:
                await asyncio.sleep(pause_s)
                left -= len(await reader.readexactly(min(piece, left)))
            writer.write(b"done")
        writer.close()

    async def session() -> None:
        listening = socket.socket()
        # What it has not read yet stays with the sender.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        listening.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(slow, sock=listening, limit=piece)
        transport = await connected(listening.getsockname()[1], timeout_s=0.15)
        try:
            async with asyncio.timeout(20):
                transport.send(b"x" * size)
                await transport.drain()
                assert await transport.read() == b"done"
        finally:
            transport.abort()
            server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(session())


async def test_nothing_is_sent_on_a_closed_connection() -> None:
    async with scripted(Peer.gone) as server:
        transport = await connected(server.port)
        await transport.close()
        with pytest.raises(ConnectionLost):
            transport.send(b"x")


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_uvloop_carries_it_as_well(dovecot: Dovecot, tls: str) -> None:
    async def session() -> None:
        rig = DovecotRig(dovecot)
        port = dovecot.tls_port if tls == "implicit" else dovecot.port
        connector = rig.connector(tls=tls, port=port, ca_file=str(dovecot.ca_file))
        await connector.open()
        message = mail(1, b"0123456789abcde\r\n" * 100_000)
        state = await connector.append(INBOX, BytesContent(message), frozenset(), None)
        assert await octets(await connector.fetch(INBOX, state.ref)) == message
        await connector.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(session())


async def test_a_host_is_reached_though_its_first_address_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    dead = ("192.0.2.1", 143)

    async def sock_connect(sock: socket.socket, address: tuple[str, int]) -> None:
        if address == dead:
            await asyncio.Event().wait()
        await connect(sock, address)

    async with scripted(Peer.gone) as server:

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            addresses = (dead, ("127.0.0.1", server.port))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", sock_connect)
        transport = await Transport.connect("imap.example.org", 143, None, 2.0)
        await transport.close()
