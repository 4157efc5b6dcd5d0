"""The first words of a message (RFC 8970)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

from gateway.message.binary import UnknownEncoding, iter_decoded
from gateway.message.charsets import decode
from gateway.message.limits import PREVIEW_CHARACTERS
from gateway.message.octets import Buffer
from gateway.message.part import Part

# Enough for the words in front, whatever styles an HTML page starts with, and little enough to be cheap.
_OCTETS_READ = 1 << 18
_PLAIN_READ = 1 << 13
_HIDDEN = re.compile(
    r"<(style|script|head|title)\b[^>]*+>.*?(?:</\1\s*+>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE
)
_TAG = re.compile(r"<[^>]*+(?:>|\Z)")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff\u00ad\u034f]+")
_QUOTED_LINE = re.compile(r"(?m)^>.*$")


def preview(buffer: Buffer, part: Part) -> str:
    """Return the beginning of the message's text on one line, at most `PREVIEW_CHARACTERS` characters.

    Taken from the first text/plain part that has any text, else from the first text/html one without its markup.
    Attachments and embedded messages do not count. Quoted lines are left out if others remain. "" if there is no text.
    """
    for subtype in (b"plain", b"html"):
        for candidate in islice(_text_parts(part), 20):
            if candidate.subtype.lower() == subtype:
                text = _shorten(_beginning(buffer, candidate, subtype == b"html"))
                if text:
                    return text
    return ""


def _text_parts(part: Part) -> Iterator[Part]:
    if part.is_multipart:
        for child in part.children:
            yield from _text_parts(child)
    elif part.is_text and (part.disposition is None or part.disposition[0].lower() != b"attachment"):
        yield part


def _beginning(buffer: Buffer, part: Part, is_html: bool) -> str:
    limit = _OCTETS_READ if is_html else _PLAIN_READ
    shortened = Part(part.header_start, part.body_start, min(part.end, part.body_start + limit))
    shortened.encoding = part.encoding
    try:
        octets = b"".join(iter_decoded(shortened, buffer))
    except UnknownEncoding:
        return ""
    text = decode(octets, part.parameter(b"charset"))
    if is_html:
        return html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    return _SPACE.sub(" ", _QUOTED_LINE.sub("", text)).strip() or text


def _shorten(text: str) -> str:
    return _SPACE.sub(" ", text).strip().strip("\ufffd")[:PREVIEW_CHARACTERS].rstrip()
