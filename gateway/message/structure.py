"""BODYSTRUCTURE and BODY (RFC 9051 sections 7.5.2 and 9, `body`)."""

from __future__ import annotations

import re

from gateway.message.limits import MAX_DEPTH
from gateway.message.part import Parameters, Part
from gateway.message.quoting import nstring, string


def render_structure(part: Part, is_extensible: bool) -> bytes:
    """Return the finished BODYSTRUCTURE, or BODY without `is_extensible`, of a message or part.

    Extension data is always complete. A message/global part has the form RFC 9051 gives it, that of message/rfc822.
    """
    if part.is_multipart:
        bodies = b"".join(render_structure(child, is_extensible) for child in part.children)
        if not is_extensible:
            return b"(%b %b)" % (bodies, string(part.subtype))
        return b"(%b %b %b %b)" % (bodies, string(part.subtype), _parameters(part.parameters), _extension(part))
    fields = b"%b %b %b %b %b %b %d" % (
        string(part.type),
        string(part.subtype),
        _parameters(part.parameters),
        nstring(part.content_id),
        nstring(part.description),
        string(part.encoding),
        part.size_octets,
    )
    if part.message is not None:
        fields += b" %b %b %d" % (part.envelope, render_structure(part.message, is_extensible), part.lines)
    elif part.is_text:
        fields += b" %d" % part.lines
    if not is_extensible:
        return b"(%b)" % fields
    return b"(%b %b %b)" % (fields, nstring(part.md5), _extension(part))


def _extension(part: Part) -> bytes:
    """`body-fld-dsp SP body-fld-lang SP body-fld-loc`."""
    if part.disposition is None:
        disposition = b"NIL"
    else:
        kind, parameters = part.disposition
        disposition = b"(%b %b)" % (string(kind), _parameters(parameters))
    languages = b"(%b)" % b" ".join(map(string, part.languages)) if part.languages else b"NIL"
    return b"%b %b %b" % (disposition, languages, nstring(part.location))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join(b"%b %b" % (string(name), string(value)) for name, value in parameters)


def render_plain_body(structure: bytes) -> bytes:
    """Return BODY for a finished BODYSTRUCTURE, which may be another server's: the same without extension data.

    Raises:
        ValueError: `structure` is not a BODYSTRUCTURE, or nests more than twice as deep as we would let it.
    """
    reader = _StructureReader(structure)
    body = reader.body(0)
    if reader.position != len(structure):
        raise ValueError("there is more behind the body structure")
    return body


_QUOTED_OR_ATOM = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^\s()"{]++', re.DOTALL)
_LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\r\n")
_BLANKS = re.compile(rb" *+")


class _StructureReader:
    """Copies the items of a body one by one and leaves out what follows its basic ones."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def body(self, depth: int) -> bytes:
        if depth > 2 * MAX_DEPTH:
            raise ValueError("the body structure nests too deep")
        self._expect(b"(")
        if self._peek() == b"(":
            bodies = []
            while self._peek() == b"(":
                bodies.append(self.body(depth + 1))
            plain = b"(%b %b)" % (b"".join(bodies), self._item())
        else:
            items = [self._item() for _ in range(7)]
            kind = items[0].upper()
            if kind == b'"TEXT"' and self._peek() not in (b")", b""):
                items.append(self._item())
            elif kind == b'"MESSAGE"' and self._peek() == b"(":
                items += (self._item(), self.body(depth + 1), self._item())
            plain = b"(%b)" % b" ".join(items)
        while self._peek() != b")":
            self._item()
        self._expect(b")")
        return plain

    def _peek(self) -> bytes:
        blanks = _BLANKS.match(self.data, self.position)
        self.position = blanks.end() if blanks else self.position
        return self.data[self.position : self.position + 1]

    def _expect(self, mark: bytes) -> None:
        if self._peek() != mark:
            raise ValueError(f"expected {mark!r} at offset {self.position} of the body structure")
        self.position += 1

    def _item(self) -> bytes:
        """Read one string, number, NIL or whole list and return it as written."""
        self._peek()
        start, depth = self.position, 0
        while True:
            mark = self._peek()
            if mark == b"(":
                depth += 1
                self.position += 1
            elif mark == b")" and depth:
                depth -= 1
                self.position += 1
            else:
                self._scalar()
            if depth == 0:
                return self.data[start : self.position]

    def _scalar(self) -> None:
        literal = _LITERAL.match(self.data, self.position)
        if literal:
            end = literal.end() + int(literal[1])
            if end > len(self.data):
                raise ValueError("a literal in the body structure is cut short")
            self.position = end
            return
        match = _QUOTED_OR_ATOM.match(self.data, self.position)
        if match is None:
            raise ValueError(f"unreadable body structure at offset {self.position}")
        self.position = match.end()
