"""Octets that came from the network, taken out as lines or by number. Linear in time, bounded by who feeds it."""

from __future__ import annotations

from dataclasses import dataclass

TAIL_OCTETS = 32
"""The announcement of a literal fits in this many octets at the end of a line: `~{`, 20 digits, `+}`, CR."""

_HEAD_OCTETS = 256
_COMPACT_OCTETS = 1 << 16


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line above the limit was skipped up to and including its end. `head` and `tail` are what was kept of it."""

    head: bytes = b""
    tail: bytes = b""


class LineBuffer:
    """What was fed and not taken yet. Of a line that is too long no more is kept than its head and its tail."""

    __slots__ = ("_buffer", "_head", "_offset", "_scanned")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._scanned = 0
        self._head: bytes | None = None  # of a line that is being skipped

    def __len__(self) -> int:
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> None:
        """Add octets."""
        self._buffer += data

    def clear(self) -> None:
        """Forget everything, and that a line is being skipped."""
        self._buffer.clear()
        self._offset = self._scanned = 0
        self._head = None

    def take(self, count: int) -> bytes:
        """Return the next octets, no more than there are."""
        with memoryview(self._buffer) as view:
            data = bytes(view[self._offset : self._offset + count])
        self.drop(count)
        return data

    def drop(self, count: int) -> None:
        """Forget the next octets, no more than there are."""
        self._advance(self._offset + count)

    def take_line(self, limit: int) -> bytes | LineTooLong | None:
        """Return the next line without its end; None: needs more octets.

        Laxer than RFC 9051 section 9: a bare LF ends it too.
        """
        buffer = self._buffer
        start = self._offset
        end = buffer.find(b"\n", max(self._scanned, start))
        if end < 0:
            self._scanned = len(buffer)
            if self._head is not None or len(buffer) - start > limit + 1:
                self._skip(limit)
            return None
        stop = end - 1 if end > start and buffer[end - 1] == 0x0D else end
        line = bytes(buffer[start:stop])
        self._advance(end + 1)
        if self._head is not None:
            head, self._head = self._head, None
            return LineTooLong(head, line[-TAIL_OCTETS:])
        if len(line) > limit:
            return LineTooLong(line[: min(limit, _HEAD_OCTETS)], line[-TAIL_OCTETS:])
        return line

    def _skip(self, limit: int) -> None:
        """Drop the line read so far, but for its head, for the tag, and its tail, which may announce a literal."""
        if self._head is None:
            self._head = bytes(self._buffer[self._offset : self._offset + min(limit, _HEAD_OCTETS)])
        if len(self._buffer) - self._offset > TAIL_OCTETS:
            del self._buffer[:-TAIL_OCTETS]
            self._offset = 0
            self._scanned = len(self._buffer)

    def _advance(self, offset: int) -> None:
        if offset >= len(self._buffer):
            self._buffer.clear()
            self._offset = 0
        elif offset > _COMPACT_OCTETS and offset * 2 > len(self._buffer):
            # Only when more than half is behind us, so that each octet is moved a bounded number of times.
            del self._buffer[:offset]
            self._offset = 0
        else:
            self._offset = offset
        self._scanned = self._offset
