"""A blocking IMAP client over a bare socket that says exactly what the test says and believes nothing.

Everything received goes through the strict parser of `tests.e2e.raw_parser`. Writes never wait for the peer to read
first: while the socket is full, what has come in is put aside, so that a test may pipeline as much as it likes.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_parser import ResponseParser
from tests.e2e.raw_values import (
    Continuation,
    Data,
    Fetched,
    Listed,
    Numbered,
    Reply,
    Response,
    Status,
    Value,
    WireError,
)

_BLOCK_OCTETS = 1 << 16


class ConnectionEnded(Exception):
    """The server closed the connection."""


class SocketSource:
    """Lines and counted octets from a socket, each wait bounded by `timeout_s`."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._taken = 0
        self.timeout_s = timeout_s

    def read_line(self) -> bytes:
        searched = self._taken
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            searched = max(self._taken, len(self._buffer) - 1)
            searched -= self._fill()
        line = bytes(self._buffer[self._taken : end])
        if b"\n" in line or b"\r" in line:
            raise WireError(f"a bare CR or LF in {line!r}")
        self._taken = end + 2
        return line

    def read_exactly(self, count: int) -> bytes:
        while len(self._buffer) - self._taken < count:
            self._fill()
        data = bytes(self._buffer[self._taken : self._taken + count])
        self._taken += count
        return data

    def has_input(self) -> bool:
        """Tell whether something is there to be parsed without waiting."""
        return len(self._buffer) > self._taken or bool(select.select([self._socket], [], [], 0)[0])

    def write(self, data: bytes) -> None:
        """Send everything, taking in what the peer sends meanwhile."""
        view = memoryview(data)
        end = time.monotonic() + self.timeout_s
        while view:
            left = end - time.monotonic()
            readable, writable, _ = select.select([self._socket], [self._socket], [], max(left, 0))
            if readable:
                self._receive()
            if writable:
                view = view[self._socket.send(view) :]
            elif left <= 0:
                raise TimeoutError(f"{len(view)} octets could not be sent in {self.timeout_s} s")

    def _fill(self) -> int:
        """Wait for more; returns how far the buffered octets moved to the front."""
        moved = self._taken
        del self._buffer[:moved]
        self._taken = 0
        if not select.select([self._socket], [], [], self.timeout_s)[0]:
            raise TimeoutError(f"nothing received for {self.timeout_s} s; pending input: {bytes(self._buffer[:200])!r}")
        self._receive()
        return moved

    def _receive(self) -> None:
        try:
            block = self._socket.recv(_BLOCK_OCTETS)
        except ConnectionResetError as error:
            raise ConnectionEnded("reset by the server") from error
        if not block:
            raise ConnectionEnded("closed by the server")
        self._buffer += block


class RawClient:
    """One connection. Use as a context manager; it is closed, not logged out, at the end."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = 30.0) -> None:
        self.endpoint = endpoint
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._source = SocketSource(self._socket, timeout_s)
        self._parser = ResponseParser(self._source)
        self._count = 0
        self._appended = 0

    @classmethod
    def logged_in(cls, endpoint: Endpoint, *, timeout_s: float = 30.0) -> Self:
        """Connect, take the greeting and log in; the login must succeed."""
        client = cls(endpoint, timeout_s=timeout_s)
        try:
            client.greeting()
            client.login()
        except BaseException:
            client.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    # -- octets -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write exactly these octets."""
        self._source.write(data)

    def has_input(self) -> bool:
        return self._source.has_input()

    def next_response(self) -> Response:
        """Wait for the next response.

        Raises:
            ConnectionEnded, TimeoutError, WireError.
        """
        return self._parser.next_response()

    def read_until(self, tag: str) -> Reply:
        """Read up to the status tagged `tag`; another tag on the way is an error."""
        untagged: list[Response] = []
        while True:
            response = self.next_response()
            if isinstance(response, Status) and response.tag != "*":
                if response.tag != tag:
                    raise WireError(f"expected the end of {tag}, found {response}")
                return Reply(response, untagged)
            untagged.append(response)

    def read_to_end(self) -> list[Response]:
        """Read until the server closes the connection."""
        found: list[Response] = []
        while True:
            try:
                found.append(self.next_response())
            except ConnectionEnded:
                return found

    # -- commands -----------------------------------------------------------------------------------------------------

    def greeting(self) -> Status:
        response = self.next_response()
        if not isinstance(response, Status) or response.tag != "*":
            raise WireError(f"expected a greeting, found {response}")
        return response

    def next_tag(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def command(self, line: str | bytes, *literals: bytes) -> Reply:
        """Send a command and return its reply, whatever it is.

        Each `{}` in the line stands for one of `literals`, which are sent synchronising: after the server's "+".
        """
        tag = self.next_tag()
        pieces = (line.encode() if isinstance(line, str) else line).split(b"{}")
        if len(pieces) != len(literals) + 1:
            raise ValueError("one {} for each literal")
        untagged: list[Response] = []
        data = tag.encode() + b" " + pieces[0]
        for literal, piece in zip(literals, pieces[1:], strict=True):
            is_binary = b"\0" in literal
            self.send(data + (b"~" if is_binary else b"") + b"{%d}\r\n" % len(literal))
            while not isinstance(response := self.next_response(), Continuation):
                if isinstance(response, Status) and response.tag == tag:
                    return Reply(response, untagged)
                untagged.append(response)
            data = literal + piece
        self.send(data + b"\r\n")
        reply = self.read_until(tag)
        return Reply(reply.status, [*untagged, *reply.untagged])

    def ok(self, line: str | bytes, *literals: bytes) -> Reply:
        """Send a command that must succeed."""
        reply = self.command(line, *literals)
        if not reply.is_ok:
            raise AssertionError(f"{line!r} was answered {reply.status}")
        return reply

    def login(self) -> Reply:
        return self.ok(f'LOGIN "{self.endpoint.login}" "{self.endpoint.password}"')

    def capabilities(self) -> frozenset[str]:
        (values,) = self.ok("CAPABILITY").data("CAPABILITY")
        return frozenset(str(value).upper() for value in values)

    def select(self, mailbox: str = "INBOX", command: str = "SELECT") -> Reply:
        return self.ok(f'{command} "{mailbox}"')

    def mailboxes(self) -> dict[str, Listed]:
        """Return what `LIST "" "*"` gives, by name."""
        reply = self.ok('LIST "" "*"')
        return {item.name: item for item in reply.untagged if isinstance(item, Listed)}

    def status(self, mailbox: str, *items: str) -> dict[str, int]:
        """Return the STATUS of a mailbox, item to number."""
        (values,) = self.ok(f'STATUS "{mailbox}" ({" ".join(items)})').data("STATUS")
        pairs = values[1]
        if not isinstance(pairs, tuple):
            raise WireError(f"a list of status items, not {pairs!r}")
        numbers = {str(name): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
        return {name: value for name, value in numbers.items() if isinstance(value, int)}

    def search(self, criteria: str = "ALL") -> list[int]:
        """Return the UIDs that match."""
        found = self.ok(f"UID SEARCH {criteria}").data("SEARCH")
        return [number for values in found for number in values if isinstance(number, int)]

    def fetch(self, uids: str, items: str) -> dict[int, dict[str, Value]]:
        """UID FETCH; returns UID to items. Items sent in several responses are put together."""
        rows: dict[int, dict[str, Value]] = {}
        for row in self.ok(f"UID FETCH {uids} {items}").fetched():
            uid = row.items.get("UID")
            if not isinstance(uid, int):
                raise WireError(f"UID FETCH was answered without a UID: {row}")
            rows.setdefault(uid, {}).update(row.items)
        return rows

    def flags(self, uids: str = "1:*") -> dict[int, frozenset[str]]:
        """Return UID to flags, without \\Recent."""
        return {uid: flag_set(row["FLAGS"]) for uid, row in self.fetch(uids, "(FLAGS)").items()}

    def append(self, mailbox: str, content: bytes, flags: str = "()", date: str = "") -> int:
        """APPEND one message and return its UID (UIDPLUS is expected).

        Without a date it has one of its own, a second after the message before it: where UIDs are given out in the
        order of dates, that is then the order in which messages were appended.
        """
        reply = self.ok(f'APPEND "{mailbox}" {flags} "{date or self._next_date()}" {{}}', content)
        return int(reply.codes()["APPENDUID"].split()[1])

    def append_many(self, mailbox: str, messages: Iterable[bytes], *, window: int = 50) -> None:
        """APPEND messages with non-synchronising literals, `window` commands at a time.

        For their dates see `append`.
        """
        pending: list[str] = []
        for content in messages:
            tag = self.next_tag()
            mark = b"~" if b"\0" in content else b""
            head = f'{tag} APPEND "{mailbox}" "{self._next_date()}" '
            self.send(head.encode() + mark + b"{%d+}\r\n" % len(content) + content + b"\r\n")
            pending.append(tag)
            if len(pending) >= window:
                self._take_appended(pending.pop(0))
        for tag in pending:
            self._take_appended(tag)

    def _next_date(self) -> str:
        self._appended += 1
        moment = datetime(2024, 2, 1, tzinfo=UTC) + timedelta(seconds=self._appended)
        return moment.strftime("%d-%b-%Y %H:%M:%S %z")

    def _take_appended(self, tag: str) -> None:
        reply = self.read_until(tag)
        if not reply.is_ok:
            raise AssertionError(f"APPEND was answered {reply.status}")

    # -- IDLE ---------------------------------------------------------------------------------------------------------

    def idle(self) -> str:
        """Start IDLE, wait for the "+", and return the tag to end it with."""
        tag = self.next_tag()
        self.send(f"{tag} IDLE\r\n".encode())
        while not isinstance(response := self.next_response(), Continuation):
            if isinstance(response, Status) and response.tag == tag:
                raise AssertionError(f"IDLE was answered {response}")
        return tag

    def done(self, tag: str) -> Reply:
        self.send(b"DONE\r\n")
        return self.read_until(tag)

    def wait_for(self, accept: Callable[[Response], bool], *, within_s: float = 10.0) -> Response:
        """Read responses until one is accepted.

        Raises:
            AssertionError: not within `within_s` seconds; says what came instead.
        """
        end = time.monotonic() + within_s
        seen: list[Response] = []
        while True:
            left = end - time.monotonic()
            if not self.has_input() and not select.select([self._socket], [], [], max(left, 0))[0]:
                raise AssertionError(f"not announced within {within_s} s; seen: {seen}")
            response = self.next_response()
            if accept(response):
                return response
            seen.append(response)


def wait_for_all(
    clients: Sequence[RawClient],
    accept: Callable[[Response], bool],
    *,
    within_s: float = 10.0,
) -> list[float]:
    """Wait until each client has read a response that is accepted; return when each did, by `time.monotonic`."""
    moments: dict[int, float] = {}
    end = time.monotonic() + within_s
    while len(moments) < len(clients):
        waiting = [client for number, client in enumerate(clients) if number not in moments]
        ready = [client for client in waiting if client.has_input()]
        if not ready and not select.select(waiting, [], [], max(end - time.monotonic(), 0))[0]:
            missing = [client.endpoint for client in waiting]
            raise AssertionError(f"not announced within {within_s} s to {missing}")
        for number, client in enumerate(clients):
            if number not in moments and client.has_input() and accept(client.next_response()):
                moments[number] = time.monotonic()
    return [moments[number] for number in range(len(clients))]


def flag_set(value: Value) -> frozenset[str]:
    """Turn the value of a FLAGS item into a set; \\Recent, which is each session's own, is left out."""
    if not isinstance(value, tuple):
        raise WireError(f"a list of flags, not {value!r}")
    return frozenset(str(flag) for flag in value if flag != "\\Recent")


def is_exists(count: int) -> Callable[[Response], bool]:
    """Accept `* count EXISTS`."""
    return lambda response: response == Numbered(count, "EXISTS")


def is_expunge(response: Response) -> bool:
    """Accept any EXPUNGE or VANISHED."""
    return isinstance(response, Numbered | Data) and response.kind in ("EXPUNGE", "VANISHED")


def is_flag_change(*flags: str) -> Callable[[Response], bool]:
    """Accept a FETCH whose FLAGS are exactly these, \\Recent and the case of letters aside."""
    wanted = frozenset(flag.lower() for flag in flags)

    def accept(response: Response) -> bool:
        if not isinstance(response, Fetched) or "FLAGS" not in response.items:
            return False
        return {flag.lower() for flag in flag_set(response.items["FLAGS"])} == wanted

    return accept
