"""What a search index keeps of a message: its texts, normalised, so that looking for one is a plain comparison.

The pieces that SEARCH looks at one by one are joined by a character that no needle has (`can_be_looked_up`), so that a
needle is in the whole exactly if it is in one of the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from gateway.message.headers import iter_fields
from gateway.message.limits import MAX_HEADER_OCTETS
from gateway.message.octets import Buffer
from gateway.message.part import Part
from gateway.message.text import body_text, decoded_header, normalise, sent_date

FIELDS = ("subject", "from", "to", "cc", "bcc")
"""The header fields kept apart, those with a search key of their own (RFC 9051 section 6.4.4)."""

SEPARATOR = "\x1f"

_EPOCH = date(1970, 1, 1)
# SQLite ends a text at NUL when it makes words of it, and holds no lone surrogates.
_UNFIT = re.compile("[\0\ud800-\udfff]")
_APART = re.compile("[\0\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class HeaderTexts:
    """A header's texts, normalised.

    `fields` are in the order of `FIELDS`, None for a field that is not there; `whole` has every field with its name in
    front. `sent_day` is the day of the Date field in days since 1970, None without one.
    """

    fields: tuple[str | None, ...]
    whole: str
    sent_day: int | None


def header_texts(block: bytes) -> HeaderTexts:
    """Return the texts of a header block."""
    values: dict[bytes, list[str]] = {name.encode("ascii"): [] for name in FIELDS}
    pieces: list[str] = []
    for name, raw in iter_fields(block[:MAX_HEADER_OCTETS]):
        value = normalise(decoded_header(raw))
        # A space stands between them, so that nothing of the one changes with the other when it is normalised.
        pieces.append(f"{normalise(name.decode('latin-1'))}: {value}")
        of_name = values.get(name.lower())
        if of_name is not None:
            of_name.append(value)
    sent = sent_date(block)
    fields = tuple(_joined(texts) if texts else None for texts in values.values())
    return HeaderTexts(fields, _joined(pieces), None if sent is None else day_number(sent))


def body_texts(buffer: Buffer, part: Part) -> str:
    """Return the texts of a body, as `SEARCH BODY` looks at them."""
    return _joined(normalise(piece) for piece in body_text(buffer, part))


def can_be_looked_up(needle: str) -> bool:
    """Whether a normalised text is found in joined texts exactly where it is in one of them."""
    return _APART.search(needle) is None


def day_number(day: date) -> int:
    """Return a day as a number of days since 1970."""
    return (day - _EPOCH).days


def _joined(pieces: Iterable[str]) -> str:
    text = SEPARATOR.join(pieces)
    return text if text.isascii() and "\0" not in text else _UNFIT.sub(SEPARATOR, text)
