"""A message's text as people read it, for SEARCH and previews: headers and bodies decoded to Unicode."""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Iterator
from datetime import date

from gateway.message.binary import UnknownEncoding, iter_decoded
from gateway.message.charsets import decode
from gateway.message.headers import iter_fields, unfold
from gateway.message.limits import MAX_ENCODED_WORDS, MAX_HEADER_OCTETS, MAX_TEXT_OCTETS
from gateway.message.octets import Buffer, take
from gateway.message.part import Part

# RFC 2047 section 2, with the language of RFC 2231 section 5. Laxer: text may hold blanks, as some programs send.
_ENCODED_WORD = re.compile(rb"=\?([^\x00-\x20?*]{1,64})(?:\*[^?]{0,64})?\?([bBqQ])\?([^?\r\n]*+)\?=")
_BLANK = re.compile(rb"[ \t\r\n]*+")
_UNUSED_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(rb"(?:[A-Za-z]+\s*,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s,-]+(\d{2,4})(?!\d)")
_ASCTIME = re.compile(rb"[A-Za-z]+,?\s+([A-Za-z]{3})\s+(\d{1,2})\s+\d\d?:\d\d(?::\d\d)?(?:\s+[A-Z+\-0-9]+)?\s+(\d{4})")
_COMMENT = re.compile(rb"\([^()]*+\)")
_PIECE = 2048
_MOST_MARKS = 64


def decoded_header(raw: bytes) -> str:
    """Return a raw field value as text: unfolded, RFC 2047 words decoded, 8-bit octets read as UTF-8 where they can be.

    Neighbouring words in one charset are decoded together, since many programs cut between the octets of a character.
    """
    value = unfold(raw)
    if b"=?" not in value:
        return decode(value, None)
    parts: list[str] = []
    pending, charset, end = b"", b"", 0
    for number, match in enumerate(_ENCODED_WORD.finditer(value)):
        if number >= MAX_ENCODED_WORDS:
            break
        between = value[end : match.start()]
        follows = pending != b"" and _BLANK.fullmatch(between) is not None
        if pending and (not follows or match[1].lower() != charset):
            parts.append(decode(pending, charset))
            pending = b""
        if not follows:
            parts.append(decode(between, None))
        charset = match[1].lower()
        pending += _word_octets(match[2], match[3])
        end = match.end()
        if not pending:
            parts.append("")
    parts += (decode(pending, charset or None), decode(value[end:], None))
    return "".join(parts)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text.replace(b" ", b"_"), header=True)
    digits = _UNUSED_BASE64.sub(b"", text.partition(b"=")[0])
    digits = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def header_text(block: bytes, field: str) -> list[str]:
    """Return the decoded values of every field of that name in a header block, in order; the case does not matter."""
    wanted = field.encode("ascii", "replace").lower()
    return [decoded_header(raw) for name, raw in iter_fields(block[:MAX_HEADER_OCTETS]) if name.lower() == wanted]


def all_header_text(block: bytes) -> Iterator[str]:
    """Yield each field of a header block as `Name: decoded value`, for `SEARCH TEXT`."""
    for name, raw in iter_fields(block[:MAX_HEADER_OCTETS]):
        yield f"{name.decode('latin-1')}: {decoded_header(raw)}"


def body_text(buffer: Buffer, part: Part) -> Iterator[str]:
    """Yield what `SEARCH BODY` looks at: the text parts decoded, and the headers inside the body, part by part.

    Text in an unknown encoding is given as it stands. HTML comes with its tags.
    """
    if part.message is not None:
        yield from all_header_text(take(buffer, part.message.header_start, part.message.body_start))
        yield from body_text(buffer, part.message)
    elif part.is_multipart:
        for child in part.children:
            yield from all_header_text(take(buffer, child.header_start, child.body_start))
            yield from body_text(buffer, child)
    elif part.is_text:
        yield part_text(buffer, part)


def part_text(buffer: Buffer, part: Part) -> str:
    """Return one text part decoded, at most its first `MAX_TEXT_OCTETS` octets."""
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in iter_decoded(part, buffer):
            pieces.append(piece)
            size += len(piece)
            if size >= MAX_TEXT_OCTETS:
                break
    except UnknownEncoding:
        pieces = [take(buffer, part.body_start, min(part.end, part.body_start + MAX_TEXT_OCTETS))]
    return decode(b"".join(pieces), part.parameter(b"charset"))


def normalise(text: str) -> str:
    """Return text so that a caseless search is a plain one (in the manner of i;unicode-casemap, RFC 5051)."""
    if text.isascii():
        return text.lower()
    if len(text) <= _PIECE:
        return _folded(text)
    return "".join(_folded(piece) for piece in _pieces(text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text into pieces that are normalised each alone as in the whole.

    No other thread runs while one is normalised, and putting marks in order takes the square of their number. Nothing
    changes across a character that is no mark. In a run of more marks than any script has it is cut all the same.
    """
    start = 0
    while start < len(text):
        end = start + _PIECE
        for place in range(end, min(end + _MOST_MARKS, len(text))):
            if not unicodedata.combining(text[place]):
                end = place
                break
        yield text[start:end]
        start = end


def sent_date(block: bytes) -> date | None:
    """Return the day of the Date field as written, time and zone disregarded (RFC 9051 section 6.4.4, SENTON).

    Reads RFC 5322 with its obsolete years of two and three digits, and the asctime form. None if there is no date.
    """
    for name, raw in iter_fields(block[:MAX_HEADER_OCTETS]):
        if name.lower() == b"date":
            value = _COMMENT.sub(b" ", unfold(raw)[:200]).strip()
            match = _DATE.match(value)
            if match:
                return _date(match[3], match[2], match[1])
            match = _ASCTIME.match(value)
            return _date(match[3], match[1], match[2]) if match else None
    return None


def _date(year: bytes, month: bytes, day: bytes) -> date | None:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    name = month.decode("latin-1").lower()
    if name not in _MONTHS:
        return None
    try:
        return date(number, _MONTHS.index(name) + 1, int(day))
    except ValueError:
        return None
