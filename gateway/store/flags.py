"""Flags as the store keeps them: system flags as bits of an integer, keywords as one sorted text.

The two together are a flag set's identity: equal sets have equal bits and equal text, so a change is a comparison of
two small values. `\\Recent` belongs to a session and is never stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16

_BIT_OF = {
    "\\seen": SEEN,
    "\\answered": ANSWERED,
    "\\flagged": FLAGGED,
    "\\deleted": DELETED,
    "\\draft": DRAFT,
}
_NAMES = (
    (ANSWERED, "\\Answered"),
    (DELETED, "\\Deleted"),
    (DRAFT, "\\Draft"),
    (FLAGGED, "\\Flagged"),
    (SEEN, "\\Seen"),
)
_SYSTEM_NAMES = tuple(tuple(name for bit, name in _NAMES if bits & bit) for bits in range(32))


@dataclass(frozen=True, slots=True)
class FlagSet:
    """The flags of one placement: `bits` of the system flags, `keywords` sorted and joined by a space, "" if none."""

    bits: int = 0
    keywords: str = ""

    @classmethod
    def of(cls, names: Iterable[str]) -> FlagSet:
        """Build from IMAP spellings; see `encode`."""
        return cls(*encode(names))

    def names(self) -> tuple[str, ...]:
        """Return the IMAP spellings: system flags first, each group sorted."""
        return decode(self.bits, self.keywords)


def encode(names: Iterable[str]) -> tuple[int, str]:
    """Return (bits, keywords) of flags spelled as in IMAP.

    System flags are matched without regard to case. An unknown name that begins with a backslash is no keyword a
    client may set (RFC 9051 section 2.3.2) and is dropped, `\\Recent` among them. Of keywords that differ only in case
    one is kept, since flags are case-insensitive: the one that sorts first.
    """
    bits = 0
    keywords: dict[str, str] = {}
    for name in names:
        folded = name.lower()
        if name.startswith("\\"):
            bits |= _BIT_OF.get(folded, 0)
        elif folded not in keywords or name < keywords[folded]:
            keywords[folded] = name
    return bits, " ".join(sorted(keywords.values()))


def decode(bits: int, keywords: str) -> tuple[str, ...]:
    """Return the IMAP spellings of a stored flag set: system flags first, each group sorted."""
    system = _SYSTEM_NAMES[bits & 31]
    return (*system, *keywords.split(" ")) if keywords else system
