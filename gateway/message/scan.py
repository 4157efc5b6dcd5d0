"""The MIME tree of a message, found in one pass over its octets (RFC 2045, RFC 2046)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.message.content_fields import boundary_of, read_content_fields
from gateway.message.envelope import render_envelope
from gateway.message.headers import header_end
from gateway.message.limits import MAX_DEPTH, MAX_HEADER_OCTETS, MAX_PARTS
from gateway.message.octets import Buffer, count_lines, find, take
from gateway.message.part import Part

_CR = 0x0D


def scan(buffer: Buffer) -> Part:
    """Return the tree of a message. Never fails: anything is a message, if need be one part of text.

    Time is linear in the size for each level of nesting open at once, of which there are at most `MAX_DEPTH`; memory
    is that of the parts, at most `MAX_PARTS`, and of one header block.

    A boundary line begins with `--` and the boundary of any multipart that is open; if several fit, the longest is
    meant, of equal ones the innermost (RFC 2046 section 5.1.2). It may stand in the middle of a part's header, and it
    ends every part inside its multipart. Where the last boundary is missing, the message's end stands for it.
    """
    return _Scanner(buffer).run()


@dataclass(slots=True)
class _OpenMultipart:
    """A multipart whose last boundary has not come yet, at `place` in the chain of parts.

    `needle` is its boundary line's beginning with the line feed before it. `found` is where that comes next, or the
    buffer's length; it is to be sought anew when the scanner has passed it.
    """

    place: int
    needle: bytes
    found: int = -1


class _Scanner:
    """`chain` leads from the message to the part being read; `line_feed` is the one before the line to read next."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.size = len(buffer)
        self.chain: list[Part] = []
        self.open: list[_OpenMultipart] = []
        self.parts = 0
        self.line_feed = -1

    def run(self) -> Part:
        root = self._read_part(0, is_in_digest=False)
        start: int | None = 0
        while start is not None:
            part = self.chain[-1]
            if _is_message(part):
                part.message = self._read_part(part.body_start, is_in_digest=False)
                continue
            if part.type.lower() == b"multipart":
                self._open_multipart(part)
            start = self._next_part()
            if start is not None:
                parent = self.chain[-1]
                parent.children.append(self._read_part(start, parent.subtype.lower() == b"digest"))
        self._close(0, self.size)
        _count_lines(self.buffer, root, is_needed=False)
        return root

    def _read_part(self, start: int, is_in_digest: bool) -> Part:
        """Read the header at `start` and put its part at the chain's end."""
        part = Part(header_start=start)
        limit, _ = self._next_boundary()
        end = header_end(self.buffer, start, min(limit + 1, self.size))
        header = take(self.buffer, start, min(end, start + MAX_HEADER_OCTETS))
        read_content_fields(part, header, is_in_digest)
        self.line_feed = end - 1
        if end > limit and not (end == limit + 1 and self._begins_own_body(part, limit)):
            # The header runs into a boundary: the line end before that, also an empty line, belongs to the boundary.
            end = max(start, self._line_end(limit))
            self.line_feed = limit
        part.body_start = end
        if self.chain and _is_message(self.chain[-1]):
            self.chain[-1].envelope = render_envelope(header)
        self.parts += 1
        self.chain.append(part)
        if _is_message(part) or part.type.lower() == b"multipart":
            self._bound(part)
        return part

    def _begins_own_body(self, part: Part, line_feed: int) -> bool:
        """Tell whether a boundary line right behind a header is the header's own, having an outer one as its prefix."""
        boundary = boundary_of(part.parameters) if part.type.lower() == b"multipart" else None
        if boundary is None:
            return False
        end = line_feed + 3 + len(boundary)
        if take(self.buffer, line_feed, end) != b"\n--" + boundary:
            return False
        return all(len(outer.needle) <= len(boundary) + 3 for outer in self.open if outer.found == line_feed)

    def _bound(self, part: Part) -> None:
        """Show a part that could hold others as a plain one if there is no room for them."""
        if len(self.chain) >= MAX_DEPTH or self.parts >= MAX_PARTS:
            part.type, part.subtype = b"application", b"octet-stream"

    def _open_multipart(self, part: Part) -> None:
        boundary = boundary_of(part.parameters)
        if boundary is not None:
            self.open.append(_OpenMultipart(len(self.chain) - 1, b"\n--" + boundary))

    def _next_part(self) -> int | None:
        """Go to the next boundary line after which a part begins; return that part's start, or None at the end.

        The parts that end on the way are closed, so that the chain ends with the multipart the new part belongs to.
        """
        while self.parts < MAX_PARTS:
            line_feed, level = self._next_boundary()
            if level is None:
                return None
            multipart = self.open[level]
            self._close(multipart.place + 1, self._line_end(line_feed))
            boundary_end = line_feed + len(multipart.needle)
            self.line_feed = find(self.buffer, b"\n", boundary_end, self.size)
            if self.line_feed < 0:
                return None
            is_last = take(self.buffer, boundary_end, boundary_end + 2) == b"--"
            del self.open[level + (not is_last) :]
            if not is_last:
                return self.line_feed + 1
        return None

    def _next_boundary(self) -> tuple[int, int | None]:
        """Return the line feed before the next boundary line, and the place in `open` of the multipart it belongs to.

        An outer boundary bounds the search for an inner one, which is closed by it anyway; so each octet is looked at
        once for each level.
        """
        start = max(self.line_feed, 0)
        nearest, level, length = self.size, None, 0
        for index, multipart in enumerate(self.open):
            needle = multipart.needle
            if multipart.found < start:
                found = find(self.buffer, needle, start, min(nearest + len(needle), self.size))
                multipart.found = self.size if found < 0 else found
            if multipart.found < nearest or (multipart.found == nearest < self.size and len(needle) >= length):
                nearest, level, length = multipart.found, index, len(needle)
        return nearest, level

    def _line_end(self, line_feed: int) -> int:
        """Return where the line end at this line feed begins, which is one octet earlier if a CR precedes it."""
        has_cr = line_feed > 0 and line_feed < self.size and self.buffer[line_feed - 1] == _CR
        return line_feed - 1 if has_cr else line_feed

    def _close(self, place: int, end: int) -> None:
        """Let the chain's parts from `place` on end here, each no earlier than its body begins."""
        for part in reversed(self.chain[place:]):
            part.end = max(part.body_start, end)
            if part.type.lower() == b"multipart" and not part.children:
                # `1*body` in the grammar wants a part (RFC 9051 section 9); Dovecot too supplies an empty one.
                part.children.append(
                    Part(part.end, part.end, part.end, parameters=((b"charset", b"us-ascii"),)),
                )
        del self.chain[place:]


def _is_message(part: Part) -> bool:
    return part.type.lower() == b"message" and part.subtype.lower() in (b"rfc822", b"global")


def _count_lines(buffer: Buffer, part: Part, is_needed: bool) -> int:
    """Set `lines` where BODYSTRUCTURE needs it; return the lines of the body if `is_needed`.

    An embedded message is counted from the counts of its parts, so that no octet is counted twice.
    """
    if part.message is not None:
        message = part.message
        part.lines = count_lines(buffer, message.header_start, message.body_start)
        part.lines += _count_lines(buffer, message, is_needed=True)
        return part.lines
    if part.children:
        lines, position = 0, part.body_start
        for child in part.children:
            if is_needed:
                lines += count_lines(buffer, position, child.body_start)
            lines += _count_lines(buffer, child, is_needed)
            position = child.end
        return lines + count_lines(buffer, position, part.end) if is_needed else 0
    if not is_needed and not part.is_text:
        return 0
    lines = count_lines(buffer, part.body_start, part.end)
    if part.is_text:
        part.lines = lines
    return lines
