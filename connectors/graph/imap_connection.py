"""One connection to Exchange's IMAP server, which does nothing but log in and store messages (RFC 3501, RFC 7888).

Every wait is bounded. After any failure but a NO or BAD the connection is closed and must not be used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connectors.api.credentials import BearerCredential
from connectors.api.errors import Unavailable
from connectors.graph import imap_wire
from connectors.graph.imap_wire import Malformed, Status, Untagged
from connectors.graph.mime import Buffer
from connectors.transport.dialling import dial

MAX_LINE_OCTETS: Final = 64 * 1024
MAX_LINES: Final = 1000
"""Lines that may come before the answer to a command."""

_CONNECT_S: Final = 15.0
_CLOSE_S: Final = 2.0
_BLOCK: Final = 256 * 1024


class Lost(Unavailable):
    """The connection ended, fell silent or carries no IMAP. `is_sent`: the whole message had gone out by then."""

    def __init__(self, operator_text: str, *, is_sent: bool = False) -> None:
        super().__init__(operator_text)
        self.is_sent = is_sent


@dataclass(frozen=True, slots=True)
class Answer:
    """The tagged status of a command, and what came before it."""

    status: Status
    untagged: Sequence[Untagged] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as APPEND takes it: the mailbox's name as `imap_wire.mailbox_name` gives it, system flags, date."""

    name: bytes
    flags: frozenset[str]
    received: datetime
    buffer: Buffer


class ImapConnection:
    """Made by `connect`; for one task at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str, timeout_s: float):
        self.where = where
        self.capabilities: frozenset[str] = frozenset()
        self.is_closed = False
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._farewell = ""
        self._is_sent = False

    @classmethod
    async def connect(cls, host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> ImapConnection:
        """Connect under TLS and read the greeting and what the server can do.

        Raises:
            Lost: it cannot be reached, is not trusted, or is no IMAP server to log in to.
        """
        where = f"{host}:{port}"
        try:
            async with asyncio.timeout(min(timeout_s, _CONNECT_S)):
                reader, writer = await asyncio.open_connection(
                    sock=await dial(host, port), ssl=context, server_hostname=host, limit=MAX_LINE_OCTETS
                )
        except TimeoutError as exc:
            raise Lost(f"connecting to {where} took too long") from exc
        except (OSError, UnicodeError) as exc:
            raise Lost(f"connecting to {where} failed: {exc}") from exc
        connection = cls(reader, writer, where, timeout_s)
        try:
            await connection._greeted()
        except BaseException:
            connection.drop()
            raise
        return connection

    async def _greeted(self) -> None:
        line = await self._line()
        status = self._status(line[2:]) if line.startswith(b"* ") else None
        if status is None or status.word != "OK":
            # PREAUTH as well: nobody knows whose mail that would be.
            raise self._lost(f"{self.where} greets with {status.shown if status else line[:80]!r}")
        await self._learn(status)

    async def authenticate(self, credential: BearerCredential) -> Status:
        """Log in by XOAUTH2 and return what the server says to that; if it is OK, learn what can be done now.

        Raises:
            Lost: the connection failed.
            ValueError: user name or token cannot be.
        """
        message = imap_wire.xoauth2(credential)
        is_said = "SASL-IR" in self.capabilities
        tag = self._tag()
        await self._send(tag + b" AUTHENTICATE XOAUTH2" + (b" " + message if is_said else b"") + b"\r\n")
        complaint = ""
        for _ in range(3):
            answer = await self._answer(tag, is_asking=True)
            if answer is not None:
                break
            # A challenge after the token says why it is refused, and wants an empty line.
            complaint = " (the token is refused)" if is_said else ""
            await self._send((b"" if is_said else message) + b"\r\n")
            is_said = True
        else:
            raise self._lost(f"{self.where} keeps asking for more than a token")
        status = answer.status
        if status.word == "OK":
            await self._learn(status)
        return Status(status.word, status.code, status.argument, status.text + complaint)

    async def run(self, command: bytes) -> Answer:
        """Send a command that is one line, and return the answer.

        Raises:
            Lost: the connection failed.
        """
        tag = self._tag()
        await self._send(tag + b" " + command + b"\r\n")
        answer = await self._answer(tag)
        assert answer is not None, "only who is asking is asked back"
        return answer

    async def append(self, letter: Letter) -> Status:
        """Store a message and return what the server says to that; whatever it is but OK, nothing was stored.

        Raises:
            Lost: the connection failed; if `is_sent`, the message may be stored.
        """
        octets = len(letter.buffer)
        announced, has_to_wait = imap_wire.literal(octets, self.capabilities)
        tag = self._tag()
        flags = " ".join(sorted(letter.flags)).encode("ascii")
        words = (tag, b"APPEND", letter.name, b"(" + flags + b")", imap_wire.date_time(letter.received), announced)
        try:
            await self._send(b" ".join(words) + b"\r\n")
            if has_to_wait and (refused := await self._answer(tag, is_asking=True)) is not None:
                if refused.status.word == "OK":
                    raise self._lost(f"{self.where} says OK to a message that it has not got")
                return refused.status
            for start in range(0, octets, _BLOCK):
                # With the last octets the server has all that it needs.
                self._is_sent = start + _BLOCK >= octets
                await self._send(letter.buffer[start : start + _BLOCK])
            await self._send(b"\r\n")
            answer = await self._answer(tag)
        finally:
            self._is_sent = False
        assert answer is not None, "only who is asking is asked back"
        return answer.status

    async def close(self) -> None:
        """Log out and close, within two seconds. Never raises."""
        if not self.is_closed:
            with contextlib.suppress(Lost, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self.run(b"LOGOUT")
        self.drop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()

    def drop(self) -> None:
        """Close the connection without a word."""
        self.is_closed = True
        self._writer.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _learn(self, status: Status) -> None:
        """Take in what the server can do: by the code of a status, or by asking."""
        told = status.capabilities
        if told is None:
            answer = await self.run(b"CAPABILITY")
            told = frozenset(
                name
                for each in answer.untagged
                if each.word == "CAPABILITY"
                for name in each.rest.decode("ascii", "replace").upper().split()
            )
        self.capabilities = told

    def _tag(self) -> bytes:
        return b"G%d" % next(self._numbers)

    async def _send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
        except TimeoutError as exc:
            raise self._lost(f"{self.where} took nothing for {self._timeout_s:g} s") from exc
        except (OSError, RuntimeError) as exc:
            raise self._lost(f"the connection to {self.where} broke: {exc}") from exc
        except asyncio.CancelledError:
            self.drop()
            raise

    async def _answer(self, tag: bytes, *, is_asking: bool = False) -> Answer | None:
        """Return the answer to a command; None if the server asks back, where that may be."""
        untagged: list[Untagged] = []
        for _ in range(MAX_LINES):
            line = await self._line()
            if line.startswith(tag + b" "):
                status = self._status(line[len(tag) + 1 :])
                if status.word in ("OK", "NO", "BAD"):
                    return Answer(status, untagged)
            elif is_asking and (line == b"+" or line.startswith(b"+ ")):
                return None
            elif line.startswith(b"* "):
                response = self._untagged(line)
                if response.word == "BYE":
                    self._farewell = f": {line[2:200].decode('utf-8', 'replace')}"
                untagged.append(response)
                continue
            raise self._lost(f"{self.where} sends what is no answer: {line[:80]!r}")
        raise self._lost(f"{self.where} sends more than {MAX_LINES} lines before an answer")

    async def _line(self) -> bytes:
        """Return the next line, with the literal in it as a quoted string."""
        line = await self._until_crlf()
        found = imap_wire.literal_of(line)
        if found is None:
            return line
        beginning, octets = found
        try:
            async with asyncio.timeout(self._timeout_s):
                content = await self._reader.readexactly(octets)
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as exc:
            raise self._lost(f"{self.where} ended amid a literal") from exc
        except asyncio.CancelledError:
            self.drop()
            raise
        return beginning + imap_wire.quoted(content) + await self._until_crlf()

    async def _until_crlf(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                return (await self._reader.readuntil(b"\r\n"))[:-2]
        except TimeoutError as exc:
            raise self._lost(f"nothing came from {self.where} for {self._timeout_s:g} s") from exc
        except asyncio.IncompleteReadError as exc:
            raise self._lost(f"{self.where} has ended the connection{self._farewell}") from exc
        except asyncio.LimitOverrunError as exc:
            raise self._lost(f"{self.where} sends a line without end") from exc
        except OSError as exc:
            raise self._lost(f"the connection to {self.where} broke: {exc}") from exc
        except asyncio.CancelledError:
            self.drop()
            raise

    def _status(self, octets: bytes) -> Status:
        try:
            return imap_wire.read_status(octets)
        except Malformed as exc:
            raise self._lost(f"{self.where} sends {exc}") from exc

    def _untagged(self, line: bytes) -> Untagged:
        try:
            return imap_wire.read_untagged(line)
        except Malformed as exc:
            raise self._lost(f"{self.where} sends {exc}") from exc

    def _lost(self, text: str) -> Lost:
        self.drop()
        return Lost(text, is_sent=self._is_sent)
