"""Header blocks as octets: their end, fields and subsets (RFC 5322 section 2.2, RFC 9051 section 6.4.5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from gateway.message.octets import Buffer, take

_EMPTY_LINE = re.compile(rb"\r?\n")
_LINE_END_AND_EMPTY_LINE = re.compile(rb"\n\r?\n")
# One field: its first line and the lines that continue it. A line without a colon is a field without a value.
_FIELD = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")
_NAMED = re.compile(rb"([^\x00-\x20:][^\x00-\x20:\x7f]*+)[ \t]*+:")
_NAME = re.compile(rb"[^\x00-\x20:][^\x00-\x20:\x7f]*+")
_MOST_NAMES = 32
"""More names than this are looked up rather than searched for: a search tries one after the other at each line."""


def header_end(buffer: Buffer, start: int, end: int) -> int:
    """Return the offset just behind the empty line that closes the header at `start`, or `end` if there is none.

    Lines may end in CRLF or bare LF. A line of blanks is not empty: it continues a field (RFC 5322 section 4.2).
    """
    match = _EMPTY_LINE.match(buffer, start, end) or _LINE_END_AND_EMPTY_LINE.search(buffer, start, end)
    return match.end() if match else end


def header_block(buffer: Buffer) -> bytes:
    """Return a message's header, up to and including the empty line; all of the message if there is no such line."""
    return take(buffer, 0, header_end(buffer, 0, len(buffer)))


def split_block(block: bytes) -> tuple[bytes, bytes]:
    """Return the fields of a header block and the empty line that closes it, which may be missing (empty then)."""
    if block.endswith(b"\n\r\n") or block == b"\r\n":
        return block[:-2], block[-2:]
    if block.endswith(b"\n\n") or block == b"\n":
        return block[:-1], block[-1:]
    return block, b""


def iter_fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and raw value of each field in order; the value has its folds, but not the line end behind it.

    Blanks between name and colon are allowed (RFC 5322 section 4.5). Lines that are no field are passed over.
    """
    for raw in _raw_fields(split_block(block)[0]):
        named = _NAMED.match(raw)
        if named:
            yield named[1], raw[named.end() :].removesuffix(b"\n").removesuffix(b"\r")


def select_fields(block: bytes, names: Collection[bytes], is_exclude: bool) -> bytes:
    """Return the fields named, or all but those, octet for octet in their order, and the empty line.

    Names are compared without regard to ASCII case. Lines that are no field belong to the excluding form only. The
    empty line is there if the block has it, so not for a message that has neither it nor a body (RFC 9051 section
    7.5.2).
    """
    wanted = {name.lower() for name in names}
    fields, close = split_block(block)
    chosen = []
    for raw in _raw_fields(fields):
        named = _NAMED.match(raw)
        if (named is not None and named[1].lower() in wanted) is not is_exclude:
            chosen.append(raw)
    return b"".join((*chosen, close))


def field_selector(names: Collection[bytes], is_exclude: bool) -> Callable[[bytes], bytes]:
    """Return what gives `select_fields` of a block for these names, made ready for many blocks.

    It is one search through the block: about 2 us for a block of 1,500 octets, where `select_fields` takes 10.
    """
    # No field has any other name.
    wanted = sorted({name.lower() for name in names if _NAME.fullmatch(name)})
    if is_exclude or not 0 < len(wanted) <= _MOST_NAMES:
        return lambda block: select_fields(block, names, is_exclude)
    firsts = re.escape(bytes(sorted({name[0] for name in wanted} | {name.upper()[0] for name in wanted})))
    find_all = re.compile(
        rb"\n(?=[%b])(?:%b)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+" % (firsts, b"|".join(map(re.escape, wanted))),
        re.IGNORECASE,
    ).findall

    def select(block: bytes) -> bytes:
        if not block.endswith(b"\n\r\n"):
            return select_fields(block, names, is_exclude)
        # Each field comes with the line end before it and without its own.
        found = find_all(b"\n" + block)
        return b"".join((*found, b"\n\r\n"))[1:]

    return select


def unfold(value: bytes) -> bytes:
    """Return a field's value on one line without blanks around it.

    Folds are removed as RFC 5322 section 2.2.3 says, so the blanks within stay. A bare CR becomes a space, and a NUL,
    which IMAP strings cannot hold (RFC 9051 section 4.3), the replacement character U+FFFD.
    """
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    value = value.strip(b" \t\r")
    if b"\r" in value:
        value = value.replace(b"\r", b" ")
    if b"\0" in value:
        value = value.replace(b"\0", b"\xef\xbf\xbd")
    return value


def _raw_fields(fields: bytes) -> Iterator[bytes]:
    for match in _FIELD.finditer(fields):
        if match.end() > match.start():
            yield match[0]
