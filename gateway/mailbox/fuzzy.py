"""What comes near a text: its words, wherever they stand and in whatever order, and not all of many (RFC 6203)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import add, le

from gateway.mailbox.marks import Marks
from gateway.message.text import normalise

MAX_WORDS = 8
"""Words of a text that are looked for: each may be a question to the backend."""

_FEW = 2


def words_of(text: str) -> list[str]:
    """Return the words of a text, each once, in their order; punctuation around them does not count."""
    words: dict[str, str] = {}
    for word in map(_bare, text.split()):
        if word:
            words.setdefault(normalise(word), word)
    return list(words.values())[:MAX_WORDS]


def needed(words: int) -> int:
    """Return how many of so many words must be there: of one or two all, of more two thirds."""
    return words if words <= _FEW else -(-words * 2 // 3)


def in_most(found: Sequence[Marks]) -> Marks:
    """Return what was found by as many of the searches, one for each word, as is needed."""
    limit = needed(len(found))
    if limit == len(found):
        marks = found[0]
        for more in found[1:]:
            marks &= more
        return marks
    counts: Sequence[int] = found[0].octets
    for more in found[1:]:
        counts = bytes(map(add, counts, more.octets))
    return Marks.of(map(le, repeat(limit), counts))


def _bare(part: str) -> str:
    start, end = 0, len(part)
    while start < end and not part[start].isalnum():
        start += 1
    while start < end and not part[end - 1].isalnum():
        end -= 1
    return part[start:end]
