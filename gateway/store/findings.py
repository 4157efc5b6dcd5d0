"""What a check of the store finds, in the words of its operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `place` says where, `remedy` what a repair does, or what the operator has to do."""

    place: str
    text: str
    remedy: str
    is_mendable: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Progress(Protocol):
    """Shows how far long work has come."""

    def begin(self, what: str) -> None:
        """Show that work of unknown length has begun."""

    def follow(self, what: str, items: Iterable[T], length: int) -> Iterable[T]:
        """Pass the items through, and show how many of them have gone by."""


class NoProgress:
    """Shows nothing."""

    def begin(self, what: str) -> None:
        pass

    def follow(self, what: str, items: Iterable[T], length: int) -> Iterable[T]:
        return items
