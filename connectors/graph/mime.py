"""The MIME tree of a message, as far as the message is rebuilt out of its parts (RFC 2045, RFC 2046, RFC 2231).

It is read from octets in memory or mapped from a file, and never fails: what makes no sense is text, or a file.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from connectors.graph.charsets import decode, decode_words, percent_decoded

Buffer = bytes | mmap.mmap

MAX_DEPTH: Final = 30
"""Levels of multiparts in each other; a deeper one is not taken apart."""

MAX_PARTS: Final = 1000
"""Parts of one message; one that has more is not taken apart any further."""

MAX_HEADER_OCTETS: Final = 256 * 1024
"""Of a header block as much is read for its fields; Exchange Online takes no longer one by SMTP either."""

_MAX_PARAMETERS: Final = 100

_EMPTY_LINE: Final = re.compile(rb"\r?\n")
_END_OF_HEADER: Final = re.compile(rb"\n\r?\n")
_FIELD: Final = re.compile(rb"([^\x00-\x20:][^\x00-\x20:\x7f]*+)[ \t]*+:((?:[^\n]*+\n[ \t])*+[^\n]*+)\n?|[^\n]*+\n?")
_TYPE: Final = re.compile(rb"[ \t]*+([!#$%&'*+\-.^_`{|}~0-9A-Za-z]++)[ \t]*+/[ \t]*+([!#$%&'*+\-.^_`{|}~0-9A-Za-z]++)")
_WORD: Final = re.compile(rb"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]++")
_PARAMETER: Final = re.compile(
    rb";[ \t]*+([^\x00-\x20=;\"(]++)[ \t]*+=[ \t]*+(?:\"((?:[^\"\\]++|\\.)*+)\"?+|([^;]*+))", re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_NUMBERED: Final = re.compile(r"([^*]+)\*(?:([0-9]{1,3})(\*)?)?")


@dataclass(frozen=True, slots=True)
class Entity:
    """A message or one of its parts: the header is `start`..`body_start`, the body `body_start`..`end`, in octets.

    `fields` are names in lower case with raw values, on one line each. `type` is in lower case, as `text/plain`; names
    of parameters too. `encoding` is the transfer encoding in lower case. `children` are set for a multipart that could
    be taken apart.
    """

    start: int
    body_start: int
    end: int
    fields: tuple[tuple[str, bytes], ...] = ()
    type: str = "text/plain"
    parameters: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "7bit"
    disposition: str = ""
    filename: str = ""
    children: tuple[Entity, ...] = ()

    def first(self, name: str) -> bytes | None:
        """Return the raw value of the first field of that name, in lower case."""
        return next((value for key, value in self.fields if key == name), None)

    def every(self, name: str) -> Iterator[bytes]:
        """Yield the raw values of all fields of that name, in lower case."""
        return (value for key, value in self.fields if key == name)

    @property
    def main_type(self) -> str:
        return self.type.partition("/")[0]

    @property
    def subtype(self) -> str:
        return self.type.partition("/")[2]

    @property
    def content_id(self) -> str:
        """Content-ID without its brackets; empty if there is none."""
        value = self.first("content-id") or b""
        return decode(value, None).strip().removeprefix("<").removesuffix(">").strip()


@dataclass(frozen=True, slots=True)
class Tree:
    """A message taken apart. `is_whole` is False if it has more parts or levels than are looked into."""

    root: Entity
    is_whole: bool


def read_tree(buffer: Buffer) -> Tree:
    """Take a message apart. Time is linear in its size for each of at most `MAX_DEPTH` levels."""
    reader = _Reader(buffer)
    root = reader.read(0, len(buffer), 0, is_in_digest=False)
    return Tree(root, not reader.is_bounded)


@dataclass(slots=True)
class _Reader:
    buffer: Buffer
    parts: int = 0
    is_bounded: bool = False

    def read(self, start: int, end: int, depth: int, *, is_in_digest: bool) -> Entity:
        self.parts += 1
        body_start = header_end(self.buffer, start, end)
        fields = read_fields(self.buffer[start : min(body_start, start + MAX_HEADER_OCTETS)])
        entity = _described(start, body_start, end, fields, is_in_digest)
        if entity.main_type != "multipart":
            return entity
        children = self._children(entity, depth)
        if children is None:
            # It may hold anything; as text it is at least seen.
            return Entity(start, body_start, end, fields, encoding=entity.encoding)
        return Entity(
            start, body_start, end, fields, entity.type, entity.parameters, "7bit", entity.disposition, "", children
        )

    def _children(self, entity: Entity, depth: int) -> tuple[Entity, ...] | None:
        """Return the parts of a multipart; None if it cannot be taken apart."""
        boundary = _boundary(entity, self.buffer)
        if not boundary:
            return None
        children: list[Entity] = []
        for start, end in self._spans(boundary, entity.body_start, entity.end):
            if depth >= MAX_DEPTH or self.parts >= MAX_PARTS:
                self.is_bounded = True
                return tuple(children) or None
            children.append(self.read(start, end, depth + 1, is_in_digest=entity.subtype == "digest"))
        return tuple(children) or None

    def _spans(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield where the parts between boundary lines begin and end; the last may lack its closing line."""
        line = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)")
        opened = -1
        # The line feed before the first boundary may be that of the header's empty line.
        position = max(start - 1, 0)
        while (match := line.search(self.buffer, position, end)) is not None:
            if opened >= 0:
                cut = match.start()
                has_cr = cut > opened and self.buffer[cut - 1 : cut] == b"\r"
                yield opened, max(opened, cut - has_cr)
            if match[1]:
                return
            opened = match.end()
            # The line feed that ends a boundary line may begin the next.
            position = max(match.end() - 1, match.start() + 1)
        if opened >= 0:
            yield min(opened, end), end


def header_end(buffer: Buffer, start: int, end: int) -> int:
    """Return where the body begins, behind the empty line; `end` if there is none."""
    match = _EMPTY_LINE.match(buffer, start, end) or _END_OF_HEADER.search(buffer, start, end)
    return match.end() if match else end


def read_fields(block: bytes) -> tuple[tuple[str, bytes], ...]:
    """Return the fields of a header block: names in lower case, and values on one line. Other lines are passed over."""
    found = []
    for match in _FIELD.finditer(block):
        if match[1] is not None:
            value = match[2].replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r")
            found.append((match[1].decode("latin-1").lower(), value.replace(b"\r", b" ")))
    return tuple(found)


def _described(
    start: int, body_start: int, end: int, fields: tuple[tuple[str, bytes], ...], is_in_digest: bool
) -> Entity:
    """Read the Content-* fields, of which the first of each name counts."""
    first: dict[str, bytes] = {}
    for name, value in fields:
        if name.startswith("content-"):
            first.setdefault(name, value)
    kind = "message/rfc822" if is_in_digest else "text/plain"
    parameters: Mapping[str, str] = {}
    if "content-type" in first:
        kind, parameters = read_content_type(first["content-type"])
    disposition = first.get("content-disposition", b"")
    word = _WORD.match(disposition.lstrip(b' \t"'))
    given = read_parameters(disposition)
    encoding = _WORD.match(first.get("content-transfer-encoding", b"").lstrip(b' \t"'))
    return Entity(
        start,
        body_start,
        end,
        fields,
        kind,
        parameters,
        encoding[0].decode().lower() if encoding else "7bit",
        word[0].decode().lower() if word else "",
        given.get("filename") or parameters.get("name", ""),
    )


def read_content_type(value: bytes) -> tuple[str, Mapping[str, str]]:
    """Return type and parameters; one that cannot be read is text/plain (RFC 2045 section 5.2)."""
    match = _TYPE.match(value)
    if match is None:
        return "text/plain", read_parameters(value) if value[:4].lower() == b"text" else {}
    return f"{match[1].decode()}/{match[2].decode()}".lower(), read_parameters(value)


def read_parameters(value: bytes) -> Mapping[str, str]:
    """Return the parameters decoded, names in lower case: RFC 2231, and RFC 2047 where senders put it nevertheless."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, bytes]]] = {}
    for match in islice(_PARAMETER.finditer(value), _MAX_PARAMETERS):
        name = match[1].decode("latin-1").lower()
        octets = _QUOTED_PAIR.sub(rb"\1", match[2]) if match[2] is not None else match[3].strip(b" \t")
        numbered = _NUMBERED.fullmatch(name)
        if numbered is None:
            plain.setdefault(name, decode_words(octets))
            continue
        is_coded = numbered[2] is None or numbered[3] is not None
        pieces.setdefault(numbered[1], {}).setdefault(int(numbered[2] or 0), (is_coded, octets))
    for name, parts in pieces.items():
        # The form that can say more is the one that was meant.
        plain[name] = _joined([parts[number] for number in sorted(parts)])
    return plain


def _joined(parts: list[tuple[bool, bytes]]) -> str:
    """Join the pieces of a parameter; the first may say the charset (RFC 2231 section 4.1)."""
    charset: bytes | None = None
    octets = b""
    for index, (is_coded, piece) in enumerate(parts):
        text = piece
        if index == 0 and is_coded and piece.count(b"'") >= 2:
            charset, _, text = piece.split(b"'", 2)
        octets += percent_decoded(text) if is_coded else text
    return decode(octets, charset or None)


def _boundary(entity: Entity, buffer: Buffer) -> bytes:
    """Return the boundary in its octets, without the blanks it must not end with (RFC 2046 section 5.1.1)."""
    value = entity.first("content-type") or b""
    for match in _PARAMETER.finditer(value):
        if match[1].lower() == b"boundary":
            octets = _QUOTED_PAIR.sub(rb"\1", match[2]) if match[2] is not None else match[3].partition(b" ")[0]
            return bytes(octets.rstrip(b" \t"))
    return entity.parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
