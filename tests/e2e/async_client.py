"""A client as `RawClient` is, for many connections at a time in one event loop.

It says what it is told to, one command at a time, and everything received goes through the strict parser.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import ConnectionEnded
from tests.e2e.raw_parser import ResponseParser
from tests.e2e.raw_values import Continuation, Reply, Response, Status, WireError

_LONGEST_LINE = 1 << 22
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")

Observer = Callable[[Response], None]


class AsyncClient:
    """One connection; `observe` sees every response in the order of arrival, `begin` the line of every command.

    Waiting for a response is bounded by `timeout_s`, but for IDLE.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, timeout_s: float = 60.0) -> None:
        self._reader = reader
        self._writer = writer
        self._source = _Block()
        self._parser = ResponseParser(self._source)
        self._count = 0
        self.timeout_s = timeout_s
        self.observe: Observer = _ignore
        self.begin: Callable[[str], None] = _ignore

    @classmethod
    async def connected(cls, endpoint: Endpoint, *, timeout_s: float = 60.0) -> Self:
        """Connect and take the greeting.

        Raises:
            OSError, ConnectionEnded, TimeoutError.
        """
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=_LONGEST_LINE)
        client = cls(reader, writer, timeout_s=timeout_s)
        try:
            greeting = await client.next_response()
        except BaseException:
            client.close()
            raise
        if not isinstance(greeting, Status) or greeting.kind != "OK":
            client.close()
            raise ConnectionEnded(f"greeted with {greeting}")
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    # -- responses ----------------------------------------------------------------------------------------------------

    async def next_response(self, timeout_s: float | None = None) -> Response:
        """Wait for the next response, at most `timeout_s` seconds until its first octets.

        Raises:
            ConnectionEnded: there is none; also where it is cut off.
            TimeoutError: it did not come in time.
            WireError: the grammar does not allow it.
        """
        try:
            async with asyncio.timeout(self.timeout_s if timeout_s is None else timeout_s):
                block = await self._reader.readuntil(b"\r\n")
            async with asyncio.timeout(self.timeout_s):
                # What ends in a literal goes on after it.
                while announced := _LITERAL.search(block, max(0, len(block) - 24)):
                    block += await self._reader.readexactly(int(announced[1]))
                    block += await self._reader.readuntil(b"\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionEnded("closed by the server") from error
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise ConnectionEnded(str(error)) from error
        self._source.take(block)
        response = self._parser.next_response()
        if not self._source.is_empty:
            raise WireError(f"more than one response in {block[:400]!r}")
        self.observe(response)
        return response

    async def read_until(self, tag: str) -> Reply:
        """Read up to the status tagged `tag`; another tag on the way is an error."""
        untagged: list[Response] = []
        while True:
            response = await self.next_response()
            if isinstance(response, Status) and response.tag != "*":
                if response.tag != tag:
                    raise WireError(f"expected the end of {tag}, found {response}")
                return Reply(response, untagged)
            untagged.append(response)

    # -- commands -----------------------------------------------------------------------------------------------------

    async def command(self, line: str, *literals: bytes) -> Reply:
        """Send a command and return its reply, whatever it is. Each `{}` stands for a non-synchronising literal."""
        tag = self._next_tag()
        pieces = line.encode().split(b"{}")
        if len(pieces) != len(literals) + 1:
            raise ValueError("one {} for each literal")
        data = tag.encode() + b" " + pieces[0]
        for literal, piece in zip(literals, pieces[1:], strict=True):
            data += b"{%d+}\r\n" % len(literal) + literal + piece
        self.begin(line)
        self._writer.write(data + b"\r\n")
        reply = await self.read_until(tag)
        self.begin("")
        return reply

    async def ok(self, line: str, *literals: bytes) -> Reply:
        """Send a command that must succeed."""
        reply = await self.command(line, *literals)
        if not reply.is_ok:
            raise AssertionError(f"{line!r} was answered {reply.status}")
        return reply

    async def idle(self, seconds: float) -> Reply:
        """Idle for so long and return the reply; it is not OK where IDLE was refused."""
        tag = self._next_tag()
        self.begin("IDLE")
        self._writer.write(f"{tag} IDLE\r\n".encode())
        untagged: list[Response] = []
        while not isinstance(response := await self.next_response(), Continuation):
            if isinstance(response, Status) and response.tag == tag:
                self.begin("")
                return Reply(response, untagged)
            untagged.append(response)
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                untagged.append(await self.next_response(left))
            except TimeoutError:
                break
        self._writer.write(b"DONE\r\n")
        reply = await self.read_until(tag)
        self.begin("")
        return Reply(reply.status, [*untagged, *reply.untagged])

    def _next_tag(self) -> str:
        self._count += 1
        return f"t{self._count}"


class _Block:
    """The octets of one response, as the parser reads them."""

    def __init__(self) -> None:
        self._data = b""
        self._pos = 0

    def take(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    @property
    def is_empty(self) -> bool:
        return self._pos == len(self._data)

    def read_line(self) -> bytes:
        end = self._data.index(b"\r\n", self._pos)
        line = self._data[self._pos : end]
        if b"\n" in line or b"\r" in line:
            raise WireError(f"a bare CR or LF in {line!r}")
        self._pos = end + 2
        return line

    def read_exactly(self, count: int) -> bytes:
        data = self._data[self._pos : self._pos + count]
        self._pos += count
        return data


def _ignore(_: object) -> None:
    """See nothing."""
