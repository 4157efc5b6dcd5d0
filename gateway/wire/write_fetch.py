"""FETCH responses (RFC 9051 section 7.5.2): the names that are echoed, and the lines.

A response is `open_line(n) + item + b" " + item + ... + CLOSE_LINE`. A body that is streamed follows `literal_start`
octet for octet.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.wire.fetch import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Preview, Section
from gateway.wire.strings import astring, nstring

CLOSE_LINE = b")\r\n"


LINE_START = b"* %d FETCH ("
"""To be filled with the sequence number."""

UID_LINE_START = b"* %d UIDFETCH ("
"""To be filled with the UID; once UIDONLY is enabled (RFC 9586)."""


def line(sequence_number: int, items: Iterable[bytes]) -> bytes:
    """`* n FETCH (item item ...)`; each item is a name, a space and a value."""
    return b"* %d FETCH (%b)\r\n" % (sequence_number, b" ".join(items))


def uid_line(value: int, items: Iterable[bytes]) -> bytes:
    """`* n UIDFETCH (item item ...)`."""
    return b"* %d UIDFETCH (%b)\r\n" % (value, b" ".join(items))


def open_line(sequence_number: int) -> bytes:
    """`* n FETCH (`."""
    return LINE_START % sequence_number


def open_uid_line(value: int) -> bytes:
    """`* n UIDFETCH (`."""
    return UID_LINE_START % value


def uid(value: int) -> bytes:
    """`UID n`."""
    return b"UID %d" % value


def flags(rendered: bytes) -> bytes:
    """`FLAGS (...)`, from what `flags.format_flags` gives."""
    return b"FLAGS " + rendered


def modseq(value: int) -> bytes:
    """`MODSEQ (n)` (RFC 7162 section 3.1.4.2)."""
    return b"MODSEQ (%d)" % value


def object_id(value: str | None) -> bytes:
    """`(M6d99ac3275bb4e)`, what stands behind EMAILID or THREADID; NIL where there is none (RFC 8474 section 5.3)."""
    return b"NIL" if value is None else b"(%b)" % value.encode("ascii", "replace")


def preview(text: str | None) -> bytes:
    """What stands behind PREVIEW: the text in UTF-8, NIL where it is not at hand (RFC 8970 section 3.2)."""
    return nstring(None if text is None else text.encode("utf-8", "replace"))


def literal_start(size: int, *, is_binary: bool = False) -> bytes:
    """`{n}` and line end, to be followed by exactly `size` octets; `~{n}` where they may hold NULs (RFC 3516)."""
    return b"%b{%d}\r\n" % (b"~" if is_binary else b"", size)


def literal_octets(data: bytes) -> bytes:
    """Return what goes into a literal for `data`, of the same length.

    A NUL, which a literal cannot hold (RFC 9051 section 9, `CHAR8`), becomes 0x80, as Dovecot does it.
    """
    return data.replace(b"\0", b"\x80")


def literal(data: bytes) -> bytes:
    """`{n}`, line end and the octets, as `literal_start` and `literal_octets` give them."""
    return b"{%d}\r\n%b" % (len(data), data.replace(b"\0", b"\x80"))


def binary_value(data: bytes) -> bytes:
    """Return decoded content: a literal, as literal8 only if it holds a NUL (RFC 3516 section 4.2)."""
    return literal_start(len(data), is_binary=b"\0" in data) + data


def item_name(item: FetchItem) -> bytes:
    """Return the name under which an item is answered: as it was asked, in capitals.

    `.PEEK` goes, and of a partial only the offset stays: `BODY.PEEK[1.MIME]<0.100>` gives `BODY[1.MIME]<0>`.
    """
    match item:
        case FetchAttribute():
            return _attribute_name(item)
        case BodySection():
            return b"BODY[%b]%b" % (section_text(item.section), _origin(item.partial))
        case BinarySection():
            return b"BINARY[%b]%b" % (_part(item.part), _origin(item.partial))
        case Preview():
            return b"PREVIEW"
        case BinarySize():
            return b"BINARY.SIZE[%b]" % _part(item.part)


def section_text(section: Section) -> bytes:
    """Return what stands in the brackets, `1.2.HEADER.FIELDS (From To)`; the fields are spelled as they were asked."""
    text = section.text.value
    if section.fields:
        text += b" (%b)" % b" ".join(astring(field) for field in section.fields)
    return b".".join(filter(None, (_part(section.part), text)))


def _attribute_name(attribute: FetchAttribute) -> bytes:
    # Outlook's RFC822.PEEK is answered under the name it knows from RFC 3501.
    name: bytes = attribute.value
    return FetchAttribute.RFC822.value if attribute is FetchAttribute.RFC822_PEEK else name


def _part(numbers: tuple[int, ...]) -> bytes:
    return b".".join(b"%d" % number for number in numbers)


def _origin(partial: tuple[int, int] | None) -> bytes:
    return b"" if partial is None else b"<%d>" % partial[0]
