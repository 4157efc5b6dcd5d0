"""A proxy that makes IMAP go wrong, for tests: it stands on loopback between a client and a real server.

    async with imap_proxy(host, port) as proxy:
        lost = proxy.fail(LoseReply(), when=named("APPEND"))
        ...                                   # the client works on proxy.port
        await lost.hits.reach(1)              # the server has done the work, the client was never told

What can go wrong, and with which commands, is in `tests.servers.imap_faults`. What no rule wants passes through as it
is. The client is to wait for the end of one command before it sends the next, and to send no synchronising literals to
a server that does not ask for that. Everything runs in the loop of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator

from tests.servers.faults import Count, Drop, LoseReply
from tests.servers.imap_faults import (
    CONNECT,
    Cut,
    Hang,
    ImapFault,
    ImapRule,
    Rewrite,
    Say,
    SeenCommand,
    Slow,
    WhenCommand,
    any_command,
)

_LINE_LIMIT = 1 << 24
_PIECE = 64 << 10
_PIECES_PER_S = 10
_ANNOUNCED = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")


class _Answer:
    """Collects what a server says up to the line that ends it, which begins with `ending`."""

    def __init__(self, ending: bytes) -> None:
        self._ending = ending
        self._data = bytearray()
        self._start = 0
        self.is_whole = asyncio.get_running_loop().create_future()

    def feed(self, data: bytes) -> bytes:
        """Take octets; return those behind the end of the answer."""
        self._data += data
        while (end := self._data.find(b"\r\n", self._start)) >= 0:
            line = bytes(self._data[self._start : end + 2])
            if announced := _ANNOUNCED.search(line):
                if len(self._data) < end + 2 + int(announced[1]):
                    break
                self._start = end + 2 + int(announced[1])
                continue
            self._start = end + 2
            if line.startswith(self._ending):
                rest = bytes(self._data[self._start :])
                self.is_whole.set_result(bytes(self._data[: self._start]))
                return rest
        return b""


class _Link:
    """A connection of the client's, and the one to the server behind it."""

    def __init__(
        self,
        proxy: ImapProxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client_reader, self._client = client
        self._server_reader, self._server = server
        self._answer: _Answer | None = None
        self.is_idling = False

    async def run(self) -> None:
        """Carry octets until one end has gone."""
        # The way up first: a rule for the greeting is to be there before the greeting is.
        up = asyncio.ensure_future(self._up())
        down = asyncio.ensure_future(self._down())
        try:
            # What the server said last is to reach the client.
            await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (down, up):
                task.cancel()
            # First, since what is awaited may be cancelled.
            self.close()
            await asyncio.gather(down, up, return_exceptions=True)

    def say(self, data: bytes) -> None:
        """Send the client something that the server has not said."""
        self._client.write(data)

    def reset(self) -> None:
        """Break the connection off; what was not sent yet is lost."""
        connection = self._client.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.transport.abort()

    def close(self) -> None:
        self._client.close()
        self._server.close()

    # -- both ways -----------------------------------------------------------------------------------------------------

    async def _down(self) -> None:
        while data := await self._server_reader.read(_PIECE):
            if self._answer is not None and not self._answer.is_whole.done():
                data = self._answer.feed(data)
            if data:
                self._client.write(data)
                await self._client.drain()

    async def _up(self) -> None:
        if not await self._pass(SeenCommand(CONNECT, b""), b"*", b""):
            return
        while octets := await self._read_command():
            line = octets.partition(b"\r\n")[0]
            tag, _, rest = line.partition(b" ")
            words = rest.upper().decode("latin-1").split(" ")
            name = " ".join(words[:2]) if words[0] == "UID" else words[0]
            self.is_idling = name == "IDLE"
            if not await self._pass(SeenCommand(name, line), tag, octets):
                return

    async def _read_command(self) -> bytes:
        """Return the next command with its literals, or what else a client says; empty when it has gone."""
        octets = line = await self._client_reader.readline()
        while announced := _ANNOUNCED.search(line):
            octets += await self._client_reader.readexactly(int(announced[1]))
            line = await self._client_reader.readline()
            octets += line
        return octets

    async def _pass(self, command: SeenCommand, tag: bytes, octets: bytes) -> bool:
        """Hand a command on, with the fault that befalls it; return whether the connection lives."""
        rule = self._proxy.rule_for(command)
        if rule is None:
            self._server.write(octets)
            await self._server.drain()
            return True
        if isinstance(rule.fault, Drop | Hang):
            rule.hits.add()
            if isinstance(rule.fault, Drop):
                self.reset()
            await self._ignore()
            return False
        is_alive = await self._carry_out(rule.fault, command, tag, octets)
        rule.hits.add()
        if isinstance(rule.fault, LoseReply) and rule.fault.is_silent:
            await self._ignore()
        return is_alive

    async def _carry_out(self, fault: ImapFault, command: SeenCommand, tag: bytes, octets: bytes) -> bool:
        match fault:
            case Say(answer, is_work_done, is_last):
                if is_work_done or command.name == CONNECT:
                    await self._whole_answer(command, tag, octets)
                self.say(answer.replace(b"{tag}", tag))
                return not is_last
        answer = await self._whole_answer(command, tag, octets)
        match fault:
            case LoseReply():
                return False
            case Cut(after, in_literal):
                start = re.search(rb"\{[0-9]+\}\r\n", answer) if in_literal else None
                self.say(answer[: (start.end() if start else 0) + after])
                return False
            case Rewrite(change):
                self.say(change(answer))
            case Slow(octets_per_s):
                size = max(octets_per_s // _PIECES_PER_S, 1)
                for place in range(0, len(answer), size):
                    self.say(answer[place : place + size])
                    await self._client.drain()
                    await asyncio.sleep(size / octets_per_s)
        return True

    async def _whole_answer(self, command: SeenCommand, tag: bytes, octets: bytes) -> bytes:
        """Let the server work, and return what it says."""
        self._answer = _Answer(b"+ " if command.name == "IDLE" else tag + b" ")
        self._server.write(octets)
        return bytes(await self._answer.is_whole)

    async def _ignore(self) -> None:
        """Take whatever the client sends, until it goes."""
        while await self._client_reader.read(_PIECE):
            pass


class ImapProxy:
    """See `imap_proxy`. `connections` counts the clients' connections."""

    def __init__(self, host: str, port: int) -> None:
        self.connections = Count()
        self._backend = (host, port)
        self._rules: list[ImapRule] = []
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # Bound but deaf, it keeps the port ours while connections are refused.
        self._place = _bound_socket(0)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None

    def fail(
        self, fault: ImapFault, *, when: WhenCommand = any_command, times: int | None = 1, skip: int = 0
    ) -> ImapRule:
        """Let the fault befall the next `times` commands that match, after the first `skip` of them; None is all.

        Of several rules that match, the one made first takes the command.
        """
        rule = ImapRule(fault, when, times, skip)
        self._rules.append(rule)
        return rule

    def rule_for(self, command: SeenCommand) -> ImapRule | None:
        return next((rule for rule in self._rules if rule.takes(command)), None)

    def say_to_idlers(self, data: bytes) -> int:
        """Say something to all clients that wait for news; return how many those are."""
        idlers = [link for link in self._links if link.is_idling]
        for link in idlers:
            link.say(data)
        return len(idlers)

    def drop_connections(self) -> None:
        """Reset open connections now."""
        for link in self._links:
            link.reset()

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Refuse connections, and reset those there are, inside the block."""
        self._stop_listening()
        self.drop_connections()
        try:
            yield
        finally:
            await self.listen()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=_bound_socket(self.port), limit=_LINE_LIMIT)

    async def close(self) -> None:
        self._stop_listening()
        self._place.close()
        self.drop_connections()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add()
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = None
        try:
            server = await asyncio.open_connection(*self._backend, limit=_LINE_LIMIT)
            link = _Link(self, (reader, writer), server)
            self._links.add(link)
            await link.run()
        except (OSError, EOFError, ValueError):
            pass
        finally:
            writer.close()
            if link is not None:
                self._links.discard(link)


@contextlib.asynccontextmanager
async def imap_proxy(host: str, port: int) -> AsyncIterator[ImapProxy]:
    """Run a proxy in front of a server until the end of the block."""
    proxy = ImapProxy(host, port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
