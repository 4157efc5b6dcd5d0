"""A server that says what a test tells it to, for what no real server can be made to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.spec import SettingValue
from connectors.imap.connector import ImapConnector, make_connector
from connectors.imap.settings import ImapSettings, parse_settings

CREDENTIALS = FixedCredential(PasswordCredential("ann", Secret("secret")))


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.commands: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def line(self) -> bytes:
        """Return the next line without its end; empty when the client is gone."""
        return (await self._reader.readline()).removesuffix(b"\r\n")

    async def exactly(self, count: int) -> bytes:
        return await self._reader.readexactly(count)

    async def expect(self, start: bytes) -> bytes:
        """Return the tag of the next command, which must begin so."""
        line = await self.line()
        tag, _, command = line.partition(b" ")
        assert command.startswith(start), f"{command!r} instead of {start!r}"
        self.commands.append(command)
        return tag

    async def answer(self, start: bytes, untagged: bytes = b"", ending: bytes = b"OK done") -> None:
        """Expect a command, then send untagged lines and the end."""
        tag = await self.expect(start)
        await self.send(untagged + tag + b" " + ending + b"\r\n")

    async def welcome(self, capabilities: bytes = b"") -> None:
        """Greet and accept the login."""
        await self.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        await self.answer(b"LOGIN ", ending=b"OK [CAPABILITY IMAP4rev1 %b] welcome" % capabilities)

    async def select(self, name: bytes = b"INBOX", exists: int = 3, uidvalidity: int = 1, extra: bytes = b"") -> None:
        """Accept the selection of a mailbox."""
        await self.answer(
            b"SELECT " + name,
            b"* FLAGS (\\Seen \\Deleted)\r\n* OK [PERMANENTFLAGS (\\Seen \\Deleted \\*)] x\r\n"
            b"* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT 10] x\r\n%b"
            % (exists, uidvalidity, extra),
            b"OK [READ-WRITE] selected",
        )

    async def gone(self) -> None:
        """Wait until the client has closed the connection; let it log out."""
        while data := await self._reader.read(65536):
            tag, _, rest = data.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].partition(b" ")
            if rest == b"LOGOUT":
                await self.send(b"* BYE\r\n%b OK bye\r\n" % tag)

    def close(self) -> None:
        self._writer.close()

    def cut(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """The scripts are played to one connection each, in order."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = list(scripts)
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        try:
            assert self._scripts, "one connection too many"
            await self._scripts.pop(0)(Peer(reader, writer))
        finally:
            writer.close()

    async def finish(self) -> None:
        """Wait for the scripts and raise what went wrong in them."""
        assert not self._scripts, "a connection was expected"
        for task in self._tasks:
            if not task.done():
                task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError | OSError):
                raise outcome


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[Server]:
    server = Server(scripts)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
        await server.finish()
    finally:
        listener.close()


def settings_for(server: Server, **values: SettingValue) -> ImapSettings:
    return parse_settings(_values(server) | values)


def _values(server: Server) -> dict[str, SettingValue]:
    return {"host": "127.0.0.1", "port": server.port, "tls": "none", "timeout_s": 10.0}


@asynccontextmanager
async def opened(server: Server, **values: SettingValue) -> AsyncIterator[ImapConnector]:
    connector = make_connector(_values(server) | values, CREDENTIALS)
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()
