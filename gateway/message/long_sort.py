"""Sorting very many numbers in pieces: Python lets nothing else run while it sorts, in whatever thread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

SORTED_AT_ONCE = 20_000
"""Numbers that are sorted in one step: some milliseconds."""

_SAMPLE = 1_000


def long_sort(
    numbers: Iterable[int], keys: Sequence[int], *, is_reversed: bool = False, at_once: int = SORTED_AT_ONCE
) -> list[int]:
    """Return numbers in the order of `keys[number]`; equals keep their order, reversed or not.

    More than `at_once` are parted by key before, so that no step is about many. To merge sorted pieces would be one.
    """
    left = list(numbers)
    if len(left) <= at_once:
        return sorted(left, key=keys.__getitem__, reverse=is_reversed)
    parts = _parted(left, keys, 2 * len(left) // at_once)
    found: list[int] = []
    for part in reversed(parts) if is_reversed else parts:
        part.sort(key=keys.__getitem__, reverse=is_reversed)
        found += part
    return found


def _parted(numbers: Sequence[int], keys: Sequence[int], count: int) -> list[list[int]]:
    """Part numbers by their keys into lists that are about equally long, unless many keys are equal."""
    sample = sorted(keys[number] for number in numbers[:: max(1, len(numbers) // _SAMPLE)])
    bounds = [sample[place * len(sample) // count] for place in range(1, count)]
    parts: list[list[int]] = [[] for _ in range(count)]
    for number in numbers:
        parts[bisect_right(bounds, keys[number])].append(number)
    return parts
