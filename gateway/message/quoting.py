"""Strings of ENVELOPE and BODYSTRUCTURE, with a short way for those that need no escaping, which are nearly all."""

from __future__ import annotations

import re

from gateway.wire.strings import quote

_PLAIN = re.compile(rb'[^\x00\r\n"\\\x80-\xff]{0,200}')


def string(text: bytes) -> bytes:
    """`string` (RFC 9051 section 9) in the form that every client can read: 8-bit octets go out in a literal."""
    return b'"%b"' % text if _PLAIN.fullmatch(text) else quote(text)


def nstring(text: bytes | None) -> bytes:
    """`nstring`: NIL for None, else as `string`."""
    return b"NIL" if text is None else string(text)
