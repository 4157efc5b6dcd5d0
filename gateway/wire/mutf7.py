"""Modified UTF-7 for mailbox names (RFC 3501 section 5.1.3): printable US-ASCII as it is, the rest `&base64-`."""

from __future__ import annotations

import binascii
import re

_SHIFTED = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_DIRECT = re.compile(rb"[\x20-\x25\x27-\x7e]*")


def encode(name: str) -> bytes:
    """Encode a mailbox name. An unpaired surrogate, which is no character, becomes U+FFFD."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _SHIFTED.sub(_shift, name.replace("&", "&-")).encode("ascii")


def decode(data: bytes) -> str:
    """Decode a mailbox name.

    Raises:
        ValueError: the octets are not modified UTF-7 in its one correct form: a bare `&`, wrong base64, 8-bit data,
            or characters encoded that need not be (RFC 3501 section 5.1.3, last paragraphs). Taking those would let
            two spellings name one mailbox.
    """
    if _DIRECT.fullmatch(data):
        return data.decode("ascii")
    pieces: list[str] = []
    position = 0
    for match in _ENCODED.finditer(data):
        pieces.append(_direct(data[position : match.start()]))
        pieces.append(_unshift(match[1]) if match[1] else "&")
        position = match.end()
    pieces.append(_direct(data[position:]))
    name = "".join(pieces)
    if encode(name) != data:
        raise ValueError("modified UTF-7 with superfluous encoding")
    return name


def _shift(match: re.Match[str]) -> str:
    text = match[0].encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
    base64 = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return "&" + base64.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def _unshift(base64: bytes) -> str:
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    return binascii.a2b_base64(padded).decode("utf-16-be")


def _direct(data: bytes) -> str:
    if not _DIRECT.fullmatch(data):
        raise ValueError("not modified UTF-7: a bare & or an octet that must be encoded")
    return data.decode("ascii")
