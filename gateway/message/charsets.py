"""Octets to text in whatever charset a message claims, without ever failing."""

from __future__ import annotations

import re
from encodings.aliases import aliases

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")

# Codecs of Python that are no charset of mail, or cost more than linear time.
_REFUSED = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})

# Names that Python does not know, and charsets that are in fact sent as their superset.
_PREFERRED = {
    "ascii": "utf_8",
    "646": "utf_8",
    "us_ascii": "utf_8",
    "us": "utf_8",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "latin_1": "cp1252",
    "iso_8859_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "windows_31j": "cp932",
    "cp1252": "cp1252",
    "utf8": "utf_8",
    "utf_8": "utf_8",
}

# Asking Python only for names it has keeps its cache of unknown names from growing with what strangers send.
_KNOWN = (frozenset(aliases) | frozenset(aliases.values())) - _REFUSED


def codec_of(charset: bytes | None) -> str | None:
    """Return the Python codec for a charset's name, or None if there is none."""
    if charset is None or len(charset) > 64:
        return None
    name = _NOT_ALPHANUMERIC.sub("_", charset.decode("latin-1").lower()).strip("_")
    if name in _PREFERRED:
        return _PREFERRED[name]
    if name not in _KNOWN or aliases.get(name) in _REFUSED:
        return None
    return name


def decode(data: bytes, charset: bytes | None) -> str:
    """Return the text; what cannot be decoded becomes U+FFFD.

    8-bit octets under no or an unknown charset, or under US-ASCII, are UTF-8 if they can be, else Windows-1252.
    """
    codec = codec_of(charset)
    if codec is not None and codec != "utf_8":
        try:
            return data.decode(codec, "replace")
        except (LookupError, ValueError):
            pass
    return _guess(data)


def _guess(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
