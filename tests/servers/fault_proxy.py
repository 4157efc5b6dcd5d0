"""A proxy that makes HTTP go wrong, for tests: it stands on loopback between a client and any HTTP/1.1 backend.

    async with fault_proxy(host, port) as proxy:
        lost = proxy.fail(LoseReply(), when=body_has("Email/import"), times=1)
        ...                                   # the client works on proxy.url
        await lost.hits.reach(1)              # the backend has done the work, the client was never told

What can go wrong, and for which requests, is in `tests.servers.faults`. What no rule wants passes through as it is,
streams of events and WebSockets included. The Host header is left alone, so a backend that builds URLs from it, or
gives relative ones, sends its clients back here. Everything runs in the loop of the test, and nothing waits for a
clock: what takes time in the world waits at a `Gate` here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass

from tests.servers.faults import (
    Answer,
    Count,
    Cut,
    Drop,
    Fault,
    Gate,
    Hang,
    LoseReply,
    Rewrite,
    Rule,
    SeenRequest,
    Trickle,
    When,
    WrongLength,
    anything,
)

HEAD_LIMIT = 1 << 20
_PIECE = 64 << 10


# -- HTTP/1.1 (RFC 9112) -----------------------------------------------------------------------------------------------

_Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class _Request:
    """A request with all of its body, to be sent on as it was framed."""

    seen: SeenRequest
    headers: _Headers
    framed_body: bytes

    @property
    def is_upgrade(self) -> bool:
        return _value(self.headers, b"upgrade") is not None

    def octets(self) -> bytes:
        """Return what the backend gets: a connection of its own for each request, compressed by nobody."""
        kept = [pair for pair in self.headers if pair[0].lower() not in (b"accept-encoding", b"expect")]
        if not self.is_upgrade:
            kept = [*_without(kept, b"connection"), (b"Connection", b"close")]
        return _head(f"{self.seen.method} {self.seen.target} HTTP/1.1".encode("latin-1"), kept) + self.framed_body


@dataclass(slots=True)
class _Reply:
    """The backend's answer; its body is still to be read."""

    status: int
    first_line: bytes
    headers: _Headers
    has_body: bool
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_chunked(self) -> bool:
        return (_value(self.headers, b"transfer-encoding") or b"").lower().endswith(b"chunked")

    @property
    def length(self) -> int | None:
        value = _value(self.headers, b"content-length")
        return None if value is None else int(value)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes in, without its framing."""
        if not self.has_body:
            return
        if self.is_chunked:
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield (await self.reader.readexactly(size + 2))[:-2]
            return
        left = self.length
        while left is None or left > 0:
            piece = await self.reader.read(_PIECE if left is None else min(left, _PIECE))
            if not piece:
                if left is not None:
                    raise EOFError("the backend broke off")
                return
            left = None if left is None else left - len(piece)
            yield piece

    async def body(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])


class _Client:
    """A connection of the client's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request: SeenRequest | None = None
        self._reader = reader
        self._writer = writer
        self._read_early = b""

    async def read_request(self) -> _Request | None:
        """Return the next request; None when the client has closed the connection."""
        try:
            head = self._read_early + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial or self._read_early:
                raise
            return None
        self._read_early = b""
        first_line, headers = _parse_head(head)
        verb, target, _ = first_line.decode("latin-1").split(" ", 2)
        if _value(headers, b"expect") is not None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (_value(headers, b"transfer-encoding") or b"").lower() == b"chunked":
            body, framed = await self._read_chunks()
        else:
            body = framed = await self._reader.readexactly(int(_value(headers, b"content-length") or b"0"))
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        return _Request(SeenRequest(verb, target, named, body), headers, framed)

    async def _read_chunks(self) -> tuple[bytes, bytes]:
        body, framed = bytearray(), bytearray()
        size = -1
        while size:
            line = await self._reader.readline()
            size = int(line.split(b";")[0], 16)
            data = await self._reader.readexactly(size + 2)
            framed += line + data
            body += data[:-2]
        return bytes(body), bytes(framed)

    async def read(self) -> bytes:
        """Return what has come in, whatever it is."""
        early, self._read_early = self._read_early, b""
        return early or await self._reader.read(_PIECE)

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            # It may instead send its next request a little early; that is kept for `read_request`.
            self._read_early = await self._reader.read(1)
            if self._read_early:
                await asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """End the connection once everything written has gone out."""
        self._writer.close()

    async def closed(self) -> None:
        """Return once the connection has been taken down, after `close` or `reset`."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """Break the connection off; what was not sent yet is lost."""
        connection = self._writer.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _parse_head(head: bytes) -> tuple[bytes, _Headers]:
    first_line, *lines = head[:-4].split(b"\r\n")
    pairs = [line.partition(b":") for line in lines]
    return first_line, [(name, value.strip()) for name, _, value in pairs]


def _head(first_line: bytes, headers: _Headers) -> bytes:
    return b"\r\n".join([first_line, *(name + b": " + value for name, value in headers)]) + b"\r\n\r\n"


def _value(headers: _Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _without(headers: _Headers, *names: bytes) -> _Headers:
    return [pair for pair in headers if pair[0].lower() not in names]


# -- the proxy ---------------------------------------------------------------------------------------------------------


HttpRule = Rule[Fault, SeenRequest]


class FaultProxy:
    """See `fault_proxy`. `seen` are all requests in the order they arrived, `forwarded` those the backend got,
    `connections` counts the clients' connections."""

    def __init__(self, host: str, port: int) -> None:
        self.seen: list[SeenRequest] = []
        self.forwarded: list[SeenRequest] = []
        self.connections = Count()
        self.requests = Count()
        self._backend = (host, port)
        self._rules: list[HttpRule] = []
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # Bound but deaf, it keeps the port ours while connections are refused.
        self._place = _bound_socket(0)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, fault: Fault, *, when: When = anything, times: int | None = 1, skip: int = 0) -> HttpRule:
        """Let the fault befall the next `times` requests that match, after the first `skip` of them; None is all.

        Of several rules that match, the one made first takes the request.
        """
        rule = Rule(fault, when, times, skip)
        self._rules.append(rule)
        return rule

    def count(self, when: When = anything) -> int:
        """Return how many requests of this kind have arrived."""
        return sum(map(when, self.seen))

    def drop_connections(self, when: When | None = None) -> int:
        """Reset open connections now: all of them, or those that are busy with such a request. Return how many."""
        dropped = [
            client for client in self._clients if when is None or (client.request is not None and when(client.request))
        ]
        for client in dropped:
            client.reset()
        return len(dropped)

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Refuse connections, and reset those there are, inside the block."""
        self._stop_listening()
        clients = list(self._clients)
        self.drop_connections()
        await asyncio.gather(*(client.closed() for client in clients))
        try:
            yield
        finally:
            await self.listen()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=_bound_socket(self.port), limit=HEAD_LIMIT)

    async def close(self) -> None:
        self._stop_listening()
        self._place.close()
        for client in self._clients:
            client.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(reader, writer)
        self._clients.add(client)
        self.connections.add()
        task = asyncio.get_running_loop().create_task(self._serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: _Client) -> None:
        try:
            while await self._exchange(client):
                await client.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            # One of the two has gone, or talks no HTTP: the other shall see the same.
            client.reset()
        finally:
            client.close()
            self._clients.discard(client)
            await client.closed()

    async def _exchange(self, client: _Client) -> bool:
        """Serve one request; return whether the connection can take another."""
        request = await client.read_request()
        if request is None:
            return False
        client.request = request.seen
        self.seen.append(request.seen)
        self.requests.add()
        rule = next((rule for rule in self._rules if rule.takes(request.seen)), None)
        try:
            if rule is None:
                return await _unless_gone(client, request, self._pass_on(client, request))
            return await self._carry_out(rule, client, request)
        finally:
            client.request = None

    async def _carry_out(self, rule: HttpRule, client: _Client, request: _Request) -> bool:
        match rule.fault:
            case Drop():
                client.reset()
                rule.hits.add()
            case Hang(gate):
                rule.hits.add()
                return await _unless_gone(client, request, self._pass_on_after(gate, client, request))
            case Cut() | Trickle():
                return await _unless_gone(client, request, self._pass_on(client, request, rule))
            case Answer(status, body, headers, is_work_done):
                if is_work_done:
                    await self._whole_reply(request)
                encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
                client.write(_framed(b"HTTP/1.1 %d Fault" % status, encoded, body, request))
                rule.hits.add()
                return True
            case LoseReply(is_silent):
                await self._whole_reply(request)
                rule.hits.add()
                if is_silent:
                    await client.gone()
            case Rewrite(change):
                reply, body = await self._whole_reply(request)
                client.write(_framed(reply.first_line, reply.headers, change(body), request))
                rule.hits.add()
                return True
            case WrongLength(by):
                reply, body = await self._whole_reply(request)
                client.write(_framed(reply.first_line, reply.headers, body, request, length_off_by=by))
                rule.hits.add()
        return False

    async def _pass_on_after(self, gate: Gate | None, client: _Client, request: _Request) -> bool:
        if gate is None:
            await asyncio.get_running_loop().create_future()
        else:
            await gate.wait()
        return await self._pass_on(client, request)

    async def _pass_on(self, client: _Client, request: _Request, rule: HttpRule | None = None) -> bool:
        """Send the request on and the answer back as it comes in, with the fault of the rule if there is one."""
        async with self._asked(request) as reply:
            client.write(_head(reply.first_line, _without(reply.headers, b"connection", b"keep-alive")))
            if reply.status == 101:
                await _splice(client, reply)
                return False
            fault = rule.fault if rule is not None else None
            sent = 0
            async for piece in _paced(reply.pieces(), fault):
                is_last = isinstance(fault, Cut) and sent + len(piece) >= fault.after
                data = piece[: fault.after - sent] if isinstance(fault, Cut) else piece
                sent += len(data)
                if data:
                    client.write(b"%x\r\n%b\r\n" % (len(data), data) if reply.is_chunked else data)
                    await client.drain()
                if is_last:
                    break
            if rule is not None:
                rule.hits.add()
            if isinstance(fault, Cut):
                await _cut(client, fault)
                return False
            if reply.is_chunked and reply.has_body:
                client.write(b"0\r\n\r\n")
            return reply.is_chunked or reply.length is not None or not reply.has_body

    async def _whole_reply(self, request: _Request) -> tuple[_Reply, bytes]:
        async with self._asked(request) as reply:
            return reply, await reply.body()

    @contextlib.asynccontextmanager
    async def _asked(self, request: _Request) -> AsyncIterator[_Reply]:
        """Send the request to the backend and read the head of its answer."""
        reader, writer = await asyncio.open_connection(*self._backend, limit=HEAD_LIMIT)
        try:
            writer.write(request.octets())
            await writer.drain()
            self.forwarded.append(request.seen)
            status = 100
            while 100 <= status < 200 and status != 101:
                first_line, headers = _parse_head(await reader.readuntil(b"\r\n\r\n"))
                status = int(first_line.split(b" ")[1])
            has_body = request.seen.method != "HEAD" and status not in (101, 204, 304)
            yield _Reply(status, first_line, headers, has_body, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def fault_proxy(host: str, port: int) -> AsyncIterator[FaultProxy]:
    """Run a proxy in front of the backend at that address."""
    proxy = FaultProxy(host, port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


def _bound_socket(port: int) -> socket.socket:
    result = socket.socket()
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    result.bind(("127.0.0.1", port))
    return result


def _framed(first_line: bytes, headers: _Headers, body: bytes, request: _Request, *, length_off_by: int = 0) -> bytes:
    kept = _without(headers, b"connection", b"keep-alive", b"transfer-encoding", b"content-length")
    length = (b"Content-Length", b"%d" % (len(body) + length_off_by))
    return _head(first_line, [*kept, length]) + (b"" if request.seen.method == "HEAD" else body)


async def _paced(pieces: AsyncIterator[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if not isinstance(fault, Trickle):
            yield piece
            continue
        for start in range(0, len(piece), fault.octets):
            await fault.gate.wait()
            yield piece[start : start + fault.octets]


async def _cut(client: _Client, fault: Cut) -> None:
    if fault.is_reset:
        # What is still in a buffer would be lost with the connection.
        await client.drain()
        client.reset()


async def _splice(client: _Client, reply: _Reply) -> None:
    """Carry octets both ways until one end closes; the head of the answer has been sent."""

    async def up() -> None:
        while data := await client.read():
            reply.writer.write(data)
            await reply.writer.drain()

    async def down() -> None:
        while data := await reply.reader.read(_PIECE):
            client.write(data)
            await client.drain()

    await _first_of(up(), down())


async def _unless_gone(client: _Client, request: _Request, work: Coroutine[object, object, bool]) -> bool:
    """Do the work, and stop when the client goes away."""
    if request.is_upgrade:
        # What is carried both ways is read from the client by the work itself, and its end seen there.
        return await work
    return bool(await _first_of(work, client.gone()))


async def _first_of(*works: Coroutine[object, object, bool | None]) -> bool | None:
    """Return what the first of them gives; in doubt the one that was named first."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
