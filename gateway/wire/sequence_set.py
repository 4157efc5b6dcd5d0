"""Sequence sets (RFC 9051 section 9, `sequence-set`): of sequence numbers or UIDs, which only the caller knows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STAR = 0
"""Stands for `*`, the largest number in use; no sequence number or UID is 0."""

MAX_NUMBER = 0xFFFF_FFFF
"""The largest sequence number or UID (RFC 9051 section 9, `nz-number`)."""


class SequenceSetError(ValueError):
    """The text is not a sequence set."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """A set as it was written: (first, last) pairs in the order given, either end possibly `STAR`.

    `is_saved_result` marks `$`, the result of the last SEARCH with RETURN (SAVE) (RFC 5182); it has no pairs.
    """

    ranges: tuple[tuple[int, int], ...]
    is_saved_result: bool = False

    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """Parse `sequence-set`.

        Raises:
            SequenceSetError: wrong syntax, a zero, or a number above 2^32-1.
        """
        if text == b"$":
            return cls((), is_saved_result=True)
        return cls(tuple(_parse_range(item) for item in text.split(b",")))

    @classmethod
    def from_numbers(cls, numbers: Iterable[int]) -> SequenceSet:
        """Build the shortest set of the numbers: ascending, runs joined. The numbers may come in any order."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(set(numbers)):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        return cls(tuple(ranges))

    def to_bytes(self) -> bytes:
        """Return the wire form; empty for an empty set, which the grammar cannot express."""
        if self.is_saved_result:
            return b"$"
        return b",".join(
            _number(low) if low == high else b"%b:%b" % (_number(low), _number(high)) for low, high in self.ranges
        )

    def resolve(self, largest: int) -> list[tuple[int, int]]:
        """Return ascending, disjoint, non-adjacent (low, high) ranges with `*` replaced by `largest`.

        A range is the same either way round, so `9:*` holds `largest` even if that is below 9 (RFC 9051 section 9,
        `seq-range`). With `largest` 0, an empty mailbox, `*` matches nothing.
        """
        pairs = []
        for first, last in self.ranges:
            low, high = (first or largest), (last or largest)
            if low > high:
                low, high = high, low
            if low:
                pairs.append((low, high))
        return _merged(pairs)

    def select(self, uids: Sequence[int]) -> list[int]:
        """Return the positions (0-based, ascending) in ascending `uids` of those in the set, read as UIDs."""
        positions: list[int] = []
        for low, high in self.resolve(uids[-1] if uids else 0):
            positions.extend(range(bisect_left(uids, low), bisect_right(uids, high)))
        return positions


def gaps(within: Sequence[tuple[int, int]], uids: Sequence[int]) -> list[tuple[int, int]]:
    """Return the ranges of `within` less the UIDs, which are ascending."""
    left: list[tuple[int, int]] = []
    for low, high in within:
        start = low
        for position in range(bisect_left(uids, low), bisect_right(uids, high)):
            if uids[position] > start:
                left.append((start, uids[position] - 1))
            start = uids[position] + 1
        if start <= high:
            left.append((start, high))
    return left


def _parse_range(text: bytes) -> tuple[int, int]:
    first, colon, last = text.partition(b":")
    low = _parse_number(first)
    return (low, _parse_number(last)) if colon else (low, low)


def _parse_number(text: bytes) -> int:
    if text == b"*":
        return STAR
    # bytes.isdigit() is true for ASCII digits only; ten digits hold 2^32-1.
    if not text.isdigit() or len(text) > 10 or text.startswith(b"0") or int(text) > MAX_NUMBER:
        raise SequenceSetError(f"not a sequence number: {text[:20]!r}")
    return int(text)


def _number(number: int) -> bytes:
    return b"*" if number == STAR else b"%d" % number


def _merged(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    pairs.sort()
    merged: list[tuple[int, int]] = []
    for low, high in pairs:
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged
