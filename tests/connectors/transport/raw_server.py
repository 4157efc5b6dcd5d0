"""A server on loopback that plays one script per connection, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One connection, seen from the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[bytes] = field(default_factory=list)
    requested: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self) -> bytes:
        """Read one request and return its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.requested.set()
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        if b"content-length" in fields:
            return await self.reader.readexactly(int(fields[b"content-length"]))
        body = b""
        if fields.get(b"transfer-encoding") == b"chunked":
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: int, body: bytes = b"", *fields: str) -> None:
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *fields]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def until_closed(self) -> None:
        """Wait until the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


@dataclass
class RawServer:
    """`peers` are the connections there have been; `open` counts those that are still there."""

    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    open: int = 0
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    requested: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request's head has come, on whichever connection."""

    @property
    def heads(self) -> list[bytes]:
        """Every request's head, in order of connections."""
        return [head for peer in self.peers for head in peer.heads]

    def url(self, path: str = "/", *, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@contextlib.asynccontextmanager
async def raw_server(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve; the n-th connection gets the n-th script, those after the last the last one."""
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(reader, writer, requested=server.requested)
        server.peers.append(peer)
        server.open += 1
        server.connected.set()
        server.emptied.clear()
        try:
            await scripts[min(len(server.peers), len(scripts)) - 1](peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, OSError):
                await writer.wait_closed()
            server.open -= 1
            if server.open == 0:
                server.emptied.set()
            tasks.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


async def forever(peer: Peer) -> None:
    """Answer every request with 200 and its own body."""
    while True:
        body = await peer.request()
        await peer.reply(200, body)


async def hangs(peer: Peer) -> None:
    """Read a request and never answer."""
    await peer.request()
    await peer.until_closed()


def replies(status: int, body: bytes = b"", *fields: str) -> Script:
    """Answer every request alike."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.reply(status, body, *fields)

    return script


def sends(data: bytes) -> Script:
    """Send these octets after the first request and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    return script
