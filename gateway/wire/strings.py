"""Atoms and strings (RFC 9051 section 9: `astring`, `string`, `nstring`, `literal`), as they are written."""

from __future__ import annotations

import re

MAX_QUOTED_OCTETS = 1000
"""Longer text goes out as a literal: old clients hold a line in a small buffer (RFC 2683 section 3.2.1.5)."""

# Any CHAR but CTL, SP and atom-specials.
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# `astring` allows "]" as well.
_ASTRING_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*")
_ESCAPED = re.compile(rb'(["\\])')


def is_atom(data: bytes) -> bool:
    """Tell whether `data` is an `atom`."""
    return _ATOM.fullmatch(data) is not None


def quote(text: bytes, *, utf8: bool = False) -> bytes:
    """Return `text` as a `string`: quoted if it may be and has at most `MAX_QUOTED_OCTETS` octets, else a literal.

    8-bit text is quoted only with `utf8` (the other side has UTF8=ACCEPT or IMAP4rev2 enabled) and only if it is UTF-8.
    A NUL, which no `string` can hold (RFC 9051 section 4.3), becomes 0x80, as Dovecot does it: the length stays.
    """
    if len(text) <= MAX_QUOTED_OCTETS:
        if _QUOTABLE.fullmatch(text):
            return b'"%b"' % _ESCAPED.sub(rb"\\\1", text)
        if utf8 and _QUOTABLE_UTF8.fullmatch(text) and _is_utf8(text):
            return b'"%b"' % _ESCAPED.sub(rb"\\\1", text)
    return literal(text.replace(b"\0", b"\x80"))


def literal(data: bytes) -> bytes:
    """Return `data` as a server's `literal`; it must hold no NUL."""
    return b"{%d}\r\n%b" % (len(data), data)


def nstring(data: bytes | None, *, utf8: bool = False) -> bytes:
    """Return an `nstring`: NIL for None, else as `quote`."""
    return b"NIL" if data is None else quote(data, utf8=utf8)


def astring(data: bytes, *, utf8: bool = False) -> bytes:
    """Return an `astring`: the bare text where that is an atom, else as `quote`. The text `NIL` is quoted."""
    if len(data) <= MAX_QUOTED_OCTETS and _ASTRING_ATOM.fullmatch(data) and data.upper() != b"NIL":
        return data
    return quote(data, utf8=utf8)


def text_line(text: str, *, utf8: bool = False) -> bytes:
    """Return `text` as the human-readable end of a response (`text`): one line, never empty, CTLs made spaces.

    Without `utf8`, what is not US-ASCII becomes `?` (RFC 3501 section 9, `TEXT-CHAR`).
    """
    data = text.encode("utf-8" if utf8 else "us-ascii", "replace")
    line = re.sub(rb"[\x00-\x1f\x7f]+", b" ", data).strip()
    return line or b"."


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
