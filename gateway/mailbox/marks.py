"""Which ones of a row of messages are meant: an octet for each, combined without a step of Python for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Marks:
    """A set of positions: `octets` has 1 for each that is in it and 0 for the others. Operands are of one length."""

    octets: bytes

    @classmethod
    def none(cls, length: int) -> Marks:
        return cls(bytes(length))

    @classmethod
    def all(cls, length: int) -> Marks:
        return cls(b"\1" * length)

    @classmethod
    def of(cls, truths: Iterable[bool]) -> Marks:
        """Return the positions at which `truths` holds."""
        return cls(bytes(truths))

    @classmethod
    def of_ranges(cls, length: int, ranges: Iterable[tuple[int, int]]) -> Marks:
        """Return the positions from the first up to, not including, the second of each pair."""
        octets = bytearray(length)
        for start, stop in ranges:
            octets[start:stop] = b"\1" * (stop - start)
        return cls(bytes(octets))

    def __and__(self, other: Marks) -> Marks:
        return self._from(self._number() & other._number())

    def __or__(self, other: Marks) -> Marks:
        return self._from(self._number() | other._number())

    def __sub__(self, other: Marks) -> Marks:
        return self._from(self._number() & ~other._number())

    def __bool__(self) -> bool:
        return 1 in self.octets

    def __len__(self) -> int:
        return len(self.octets)

    def count(self) -> int:
        """Return how many are in it."""
        return self.octets.count(1)

    def select(self, values: Iterable[T]) -> Iterator[T]:
        """Yield the values at the positions that are in it, in order."""
        return compress(values, self.octets)

    def spread(self, places: Marks) -> Marks:
        """Return this set, which is of the positions in `places` alone, as one of positions among all."""
        octets = bytearray(len(places))
        for position, octet in zip(places.select(range(len(places))), self.octets, strict=True):
            octets[position] = octet
        return Marks(bytes(octets))

    def _number(self) -> int:
        return int.from_bytes(self.octets, "little")

    def _from(self, number: int) -> Marks:
        return Marks(number.to_bytes(len(self.octets), "little"))
