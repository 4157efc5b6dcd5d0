"""Incremental reader of what a server sends: octets in, responses out. No I/O.

Framing lies below grammar: lines and literals are told apart first, so that a response against the grammar is skipped
whole and nothing inside a literal is ever read as a response. Whether `{n}` at the end of a line announces a literal is
decided by where it stands: in data, outside quoted strings, at the start of a token; never in human-readable text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.wire.response_parser import ResponseParser, is_status_line
from gateway.wire.response_rows import FetchRow, RowReader
from gateway.wire.response_scanner import DEFAULT_NESTING
from gateway.wire.responses import Event, LiteralChunk, LiteralStart, StreamedLiteral

_LITERAL = re.compile(rb"(?:\A|(?<=[ (]))~?\{([0-9]{1,20})\+?\}\Z")
_QUOTED = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_FETCH = re.compile(rb"\* [0-9]{1,10} FETCH ", re.IGNORECASE)
# In a FETCH response only a section's content can follow "]" or one of these names.
_MESSAGE_ITEM = re.compile(
    rb"((?:BODY|BINARY)\[[^\]]*\](?:<[0-9]+>)?|RFC822(?:\.HEADER|\.TEXT)?|\](?:<[0-9]+>)?) ~?\{[0-9]+\+?\}\Z",
    re.IGNORECASE,
)
_CHUNK_OCTETS = 65536


class ResponseStreamError(ValueError):
    """The stream cannot be read any further; close the connection."""


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What a server may make us hold.

    `line_octets`: one line without its literals; SEARCH answers 300,000 UIDs in 2.3 MB.
    `response_octets`: a whole response, literals included, but for those that are streamed.
    `stream_octets`: message literals above this are handed out in chunks; other literals are not.
    `nesting`: levels of parentheses.
    """

    line_octets: int = 32 << 20
    response_octets: int = 64 << 20
    stream_octets: int = 65536
    nesting: int = DEFAULT_NESTING


class ResponseReader:
    """Feed it octets as they arrive, then take events until `next_event` returns None."""

    def __init__(self, limits: ResponseLimits | None = None) -> None:
        self._limits = limits or ResponseLimits()
        self._parser = ResponseParser(self._limits.nesting)
        self._buffer = bytearray()
        self._start = 0  # of what has not been consumed
        self._searched = 0  # no line end lies before this
        self._lines: list[bytes] = []
        self._literals: list[bytes | StreamedLiteral] = []
        self._held_octets = 0
        self._literal_octets: int | None = None  # of the literal being waited for
        self._chunk_octets = 0  # still to come of the literal being streamed
        self._is_text = False
        self._rows = RowReader()

    @property
    def buffered_octets(self) -> int:
        """Octets fed and not yet consumed."""
        return len(self._buffer) - self._start

    @property
    def is_between_responses(self) -> bool:
        """Whether nothing of an unfinished response is held: here a connection may end without a loss."""
        return not self.buffered_octets and not self._lines

    def feed(self, data: bytes) -> None:
        """Take octets as they arrived, in pieces of any size."""
        if self._start:
            # Cheap at the front of a bytearray, and done once per piece, not per line.
            del self._buffer[: self._start]
            self._searched -= self._start
            self._start = 0
        self._buffer += data

    def discard_input(self) -> int:
        """Forget every buffered octet, as after STARTTLS (RFC 9051 section 6.2.1); return how many there were."""
        count = self.buffered_octets
        self._buffer.clear()
        self._start = self._searched = 0
        self._clear_response()
        return count

    def next_event(self) -> Event | None:
        """Return the next event, or None if more octets are needed.

        Raises:
            ResponseStreamError: a limit is exceeded; the reader cannot be used any more.
        """
        while True:
            if self._chunk_octets:
                return self._next_chunk()
            if self._literal_octets is not None:
                if self.buffered_octets < self._literal_octets:
                    return None
                self._literals.append(self._take(self._literal_octets))
                self._literal_octets = None
            line = self._next_line()
            if line is None:
                return None
            event = self._line(line)
            if event is not None:
                return event

    def take_rows(self) -> list[FetchRow]:
        """Take those FETCH responses that come next and are lines of a listing, see `gateway.wire.response_rows`.

        Their items are in the order of `row_order`. What comes behind them, or instead, is for `next_event`.
        """
        if self._lines or self._chunk_octets or self._literal_octets is not None:
            return []
        rows, octets = self._rows.take(bytes(self._buffer[self._start :]))
        if octets:
            self._start += octets
            self._searched = self._start
        return rows

    @property
    def row_order(self) -> tuple[bytes, ...]:
        """The items of the rows, in the order in which the server names them."""
        return self._rows.order

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._searched)
        if end < 0:
            if self.buffered_octets > self._limits.line_octets:
                raise ResponseStreamError("a response line is too long")
            # The last octet may be the CR of a CR LF.
            self._searched = max(len(self._buffer) - 1, self._start)
            return None
        if end - self._start > self._limits.line_octets:
            raise ResponseStreamError("a response line is too long")
        line = bytes(self._buffer[self._start : end])
        self._start = self._searched = end + 2
        return line

    def _line(self, line: bytes) -> Event | None:
        """Add a line to the response; return the event it completes, None if the response goes on."""
        if not self._lines:
            self._is_text = is_status_line(line)
        self._lines.append(line)
        size = None if self._is_text or not line.endswith(b"}") else _announced_literal(line)
        if size is not None:
            return self._announce(line, size)
        response = self._parser.parse(self._lines, self._literals)
        self._clear_response()
        return response

    def _announce(self, line: bytes, size: int) -> Event | None:
        self._held_octets += len(line)
        if size > self._limits.stream_octets and _FETCH.match(self._lines[0]):
            item = _MESSAGE_ITEM.search(line[-2048:])
            if item is not None:
                self._chunk_octets = size
                self._literals.append(StreamedLiteral(size))
                return LiteralStart(item[1].upper(), size)
        self._held_octets += size
        if self._held_octets > self._limits.response_octets:
            raise ResponseStreamError("a response is too large")
        self._literal_octets = size
        return None

    def _next_chunk(self) -> LiteralChunk | None:
        count = min(self._chunk_octets, self.buffered_octets, _CHUNK_OCTETS)
        if not count:
            return None
        self._chunk_octets -= count
        return LiteralChunk(self._take(count), not self._chunk_octets)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[self._start : self._start + count])
        self._start += count
        self._searched = self._start
        return data

    def _clear_response(self) -> None:
        self._lines = []
        self._literals = []
        self._held_octets = 0
        self._literal_octets = None
        self._chunk_octets = 0


def _announced_literal(line: bytes) -> int | None:
    """Return the size of the literal that `line` of a data response ends in; None if it ends in none."""
    match = _LITERAL.search(line)
    if match is None:
        return None
    if b'"' in line and b'"' in _QUOTED.sub(b"", line):
        # Inside a quoted string that does not end: text, not a literal.
        return None
    return int(match[1])
