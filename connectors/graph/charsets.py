"""Octets to text in whatever charset a message claims, and to text that Exchange stores; none of it ever fails."""

from __future__ import annotations

import binascii
import re
from encodings.aliases import aliases
from itertools import islice
from typing import Final

_MAX_WORDS: Final = 10_000
"""Encoded words of one field; later ones stay as they are."""

_REFUSED: Final = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})
"""Codecs of Python that are no charset of mail, or cost more than linear time."""

_PREFERRED: Final = {
    "ascii": "utf_8",
    "us_ascii": "utf_8",
    "latin_1": "cp1252",
    "iso_8859_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso_8859_8_i": "iso8859_8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}
"""Names that Python does not know, and charsets in whose name their superset is sent."""

_KNOWN: Final = (frozenset(aliases) | frozenset(aliases.values())) - _REFUSED
_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]+")
_ENCODED_WORD: Final = re.compile(rb"=\?([^\x00-\x20?*]{1,64})(?:\*[^?]{0,64})?\?([bBqQ])\?([^?\r\n]*+)\?=")
_BLANK: Final = re.compile(rb"[ \t\r\n]*+")
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSTORABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold, section 2.2, and Exchange therefore refuses."""


def decode(data: bytes, charset: bytes | str | None) -> str:
    """Return the text, U+FFFD where it cannot be read; without a charset that is known as UTF-8 or Windows-1252."""
    codec = _codec(charset)
    if codec is not None and codec != "utf_8":
        try:
            return data.decode(codec, "replace")
        except (LookupError, ValueError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _codec(charset: bytes | str | None) -> str | None:
    if not charset or len(charset) > 64:
        return None
    text = charset.decode("latin-1") if isinstance(charset, bytes) else charset
    name = _NOT_ALPHANUMERIC.sub("_", text.lower()).strip("_")
    if name in _PREFERRED:
        return _PREFERRED[name]
    return name if name in _KNOWN and aliases.get(name) not in _REFUSED else None


def decode_words(value: bytes) -> str:
    """Return a field's value as text: encoded words decoded (RFC 2047), 8-bit octets read as UTF-8 where they can be.

    Neighbouring words of one charset are decoded together, as many programs cut between the octets of a character.
    """
    if b"=?" not in value:
        return decode(value, None)
    parts: list[str] = []
    pending, charset, end = b"", b"", 0
    for match in islice(_ENCODED_WORD.finditer(value), _MAX_WORDS):
        between = value[end : match.start()]
        follows = end > 0 and _BLANK.fullmatch(between) is not None
        if not follows or match[1].lower() != charset:
            parts.append(decode(pending, charset))
            pending = b""
        if not follows:
            parts.append(decode(between, None))
        charset = match[1].lower()
        pending += _word(match[2], match[3])
        end = match.end()
    return "".join((*parts, decode(pending, charset), decode(value[end:], None)))


def _word(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text.replace(b" ", b"_"), header=True)
    digits = _NO_BASE64.sub(b"", text.partition(b"=")[0])
    return unpadded(digits)


def unpadded(digits: bytes) -> bytes:
    """Decode digits of base64 that lack their padding; a single one at the end means nothing."""
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def percent_decoded(value: bytes) -> bytes:
    """Return a value of RFC 2231 with its percent signs decoded."""
    return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), value)


def storable(text: str) -> str:
    """Return the text without the characters that cannot be stored: control characters and halves of a pair."""
    return _UNSTORABLE.sub("", text)
