"""Plays the transcript against a server and writes down what it answers."""

from __future__ import annotations

import re
import select
import socket
import zlib
from base64 import b64encode
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Listed
from tests.e2e.transcript.answers import canonical, captured
from tests.e2e.transcript.mails import MAILS, SEEDS
from tests.e2e.transcript.script import Section, Step

Answers = dict[str, list[str]]
"""What was answered, by the name of the step."""

_TIMEOUT_S = 20.0
_PATIENCE_S = 3.0
_STRANGERS = 5
_LITERAL = re.compile(r"~?\{[a-z0-9]+\+?\}")
_PLACE = re.compile(r"<([a-z]+)>")
_KEPT = ("INBOX", "Sent")
_CLOSED = b"* CLOSED"
"""Stands for the end of the connection."""


def play(
    endpoint: Endpoint, sections: Iterable[Section], capabilities: frozenset[str], *, may_miss_changes: bool = False
) -> Answers:
    """Play what the capabilities are enough for, and return the answers.

    `may_miss_changes`: a server that says it idles before it hears of changes is asked again if it tells nothing.
    """
    answers: Answers = {}
    for section in sections:
        if section.needs <= capabilities:
            _prepare(endpoint, section)
            with _Stage(endpoint, may_miss_changes=may_miss_changes) as stage:
                for step in section.steps:
                    if step.needs <= capabilities:
                        answers[step.name] = stage.play(step)
    return answers


def _prepare(endpoint: Endpoint, section: Section) -> None:
    """Leave of the account what a new one has, and the mailboxes of this section."""
    with RawClient.logged_in(endpoint) as client:
        for name in _made(client):
            # Cyrus cannot delete two mailboxes of one name within a second.
            client.command(f'RENAME "{name}" "{name} of {section.name}"')
        for name in _made(client):
            # What was only above others may have gone with them.
            client.command(f'DELETE "{name}"')
        assert not _made(client)
        # Cyrus tells names without a mailbox in the second only.
        for listing in ('LSUB "" "*"', 'LIST (SUBSCRIBED) "" "*"'):
            for item in client.ok(listing).untagged:
                if isinstance(item, Listed):
                    client.ok(f'UNSUBSCRIBE "{item.name}"')
        for name in section.mailboxes:
            client.ok(f"CREATE {name}")
            for mail in SEEDS:
                client.ok(f'APPEND {name} ({mail.flags}) "{mail.date}" {{}}', mail.data)


def _made(client: RawClient) -> list[str]:
    """Return the mailboxes that a new account does not have, the lower ones first."""
    return sorted(client.mailboxes().keys() - set(_KEPT), reverse=True)


class _Stage:
    """The connections of one section, each opened when it first has something to say."""

    def __init__(self, endpoint: Endpoint, *, may_miss_changes: bool) -> None:
        self._endpoint = endpoint
        self._may_miss_changes = may_miss_changes
        self._stack = ExitStack()
        self._connections: dict[int, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def play(self, step: Step) -> list[str]:
        """Do what the step says and return what was answered."""
        if step.client not in self._connections:
            self._connections[step.client] = self._stack.enter_context(
                Connection(self._endpoint, is_stranger=step.client >= _STRANGERS)
            )
            self._connections[step.client].may_miss_changes = self._may_miss_changes
        try:
            said = canonical(self._connections[step.client].done(step), step.text)
        except TimeoutError as error:
            raise AssertionError(f"no answer to {step.name!r} for {_TIMEOUT_S} s from {self._endpoint}") from error
        return [line.replace(self._endpoint.login, "<user>") for line in said]


class Connection:
    """One connection to a server, which reads responses as octets."""

    def __init__(self, endpoint: Endpoint, *, is_stranger: bool) -> None:
        self._socket = socket.create_connection((endpoint.host, endpoint.port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._tag = 0
        self._is_open = False
        self.may_miss_changes = False
        self._inflate: zlib._Decompress | None = None
        self._deflate: zlib._Compress | None = None
        login = f"\0{endpoint.login}\0{endpoint.password}".encode()
        self._places = {
            "user": endpoint.login,
            "password": endpoint.password,
            "plain": b64encode(login).decode(),
        }
        self._response()
        if not is_stranger:
            self._command(f'LOGIN "{endpoint.login}" "{endpoint.password}"')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def done(self, step: Step) -> list[bytes]:
        """Do what a step says and return the responses."""
        text = _PLACE.sub(lambda place: self._places.get(place[1], place[0]), step.text)
        match step.kind:
            case " ":
                return self._command(text)
            case "+":
                self._tag += 1
                self._is_open = True
                self._send(f"t{self._tag} {text}\r\n".encode())
                return self._until(b"+")
            case "?":
                found: list[bytes] = []
                while not any(text.encode() in each or each == _CLOSED for each in found):
                    found += self._idle_again() if self._has_missed() else [self._response()]
                return found
            case _:
                if not self._is_open:
                    return []
                self._send(text.encode() + b"\r\n")
                return self._until(b"+" if text.endswith("...") else None)

    def _has_missed(self) -> bool:
        return self.may_miss_changes and not self._buffer and not select.select([self._socket], [], [], _PATIENCE_S)[0]

    def _idle_again(self) -> list[bytes]:
        """End IDLE and begin another; returns what was told meanwhile."""
        self._send(b"DONE\r\n")
        found = self._until(None)[:-1]
        self._tag += 1
        self._is_open = True
        self._send(f"t{self._tag} IDLE\r\n".encode())
        return found + self._until(b"+")[:-1]

    def _command(self, text: str) -> list[bytes]:
        """Send a command with its literals and return the responses."""
        self._tag += 1
        self._is_open = True
        pieces, literals = _LITERAL.split(text), _LITERAL.findall(text)
        found: list[bytes] = []
        data = f"t{self._tag} {pieces[0]}".encode()
        for literal, piece in zip(literals, pieces[1:], strict=True):
            content = MAILS[literal.strip("~{+}")]
            is_unasked = "+" in literal
            mark = b"~" if literal.startswith("~") else b""
            data += mark + b"{%d%s}\r\n" % (len(content), b"+" if is_unasked else b"")
            if not is_unasked:
                self._send(data)
                data = b""
                found += self._until(b"+")
                if not self._is_open:
                    return found
                found.pop()
            data += content + piece.encode()
        self._send(data + b"\r\n")
        found += self._until(None)
        if text.upper() == "COMPRESS DEFLATE" and b" OK" in found[-1][:8]:
            self._inflate, self._deflate = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
        return found

    def _until(self, mark: bytes | None) -> list[bytes]:
        """Read up to the end of the command, or to a response that begins with `mark`."""
        tag = f"t{self._tag} ".encode()
        found: list[bytes] = []
        while True:
            found.append(self._response())
            if found[-1].startswith(tag) or found[-1] == _CLOSED:
                self._is_open = False
                return found
            if mark is not None and found[-1].startswith(mark):
                return found

    def _response(self) -> bytes:
        """Return the next response with its literals, without the last CRLF; `_CLOSED` if there is none any more."""
        try:
            response = self._whole_response()
        except EOFError:
            return _CLOSED
        self._places |= captured(response)
        return response.removesuffix(b"\r\n")

    def _whole_response(self) -> bytes:
        response = self._line()
        while not re.match(rb"\S+ (?:OK|NO|BAD|BYE) ", response) and (
            literal := re.search(rb"\{(\d+)\}\r\n\Z", response)
        ):
            count = int(literal[1])
            while len(self._buffer) < count:
                self._fill()
            response += self._buffer[:count]
            self._buffer = self._buffer[count:]
            response += self._line()
        return response

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        line, self._buffer = self._buffer[: end + 2], self._buffer[end + 2 :]
        return line

    def _fill(self) -> None:
        try:
            block = self._socket.recv(1 << 16)
        except ConnectionResetError as error:
            raise EOFError from error
        if not block:
            raise EOFError
        self._buffer += self._inflate.decompress(block) if self._inflate is not None else block

    def _send(self, data: bytes) -> None:
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        # That nobody takes it any more is found when the answer is read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)
