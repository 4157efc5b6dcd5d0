"""The METADATA response and its response codes, as finished octets (RFC 5464 section 4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.wire.codes import Code
from gateway.wire.strings import astring, nstring
from gateway.wire.write import mailbox


def metadata(name: str, values: Iterable[tuple[str, bytes | None]], *, utf8: bool = False) -> bytes:
    """`* METADATA "INBOX" (/private/comment "text" ...)`; nothing where there is nothing to tell."""
    pairs = [b"%b %b" % (astring(entry.encode("ascii")), _value(value, utf8)) for entry, value in values]
    if not pairs:
        return b""
    return b"* METADATA %b (%b)\r\n" % (mailbox(name, utf8=utf8), b" ".join(pairs))


def changed(name: str, entries: Iterable[str], *, utf8: bool = False) -> bytes:
    """`* METADATA "INBOX" /shared/comment ...`: these have changed; there must be one (RFC 5464 section 4.4.2)."""
    names = b" ".join(astring(entry.encode("ascii")) for entry in entries)
    return b"* METADATA %b %b\r\n" % (mailbox(name, utf8=utf8), names)


def long_entries(octets: int) -> bytes:
    """`METADATA LONGENTRIES n`: the largest value that was left out has so many octets."""
    return b"%b LONGENTRIES %d" % (Code.METADATA.value, octets)


def max_size(octets: int) -> bytes:
    """`METADATA MAXSIZE n`: a value may have so many octets."""
    return b"%b MAXSIZE %d" % (Code.METADATA.value, octets)


def too_many() -> bytes:
    """`METADATA TOOMANY`."""
    return b"%b TOOMANY" % Code.METADATA.value


def _value(value: bytes | None, utf8: bool) -> bytes:
    """Return `nstring / literal8`: only the latter can hold NUL."""
    if value is not None and b"\0" in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    return nstring(value, utf8=utf8)
