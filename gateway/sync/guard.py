"""Keeping a stale read from undoing a local write.

A page of states may have been read by the backend before a write of ours reached it, and arrive after. Whoever reads
takes a `ReadMark` first; whoever writes names the messages it writes. An entry of the page about a message written
since the mark is then left out, and the page is asked for again later (its cursor is not stored).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class ReadMark:
    """The number of finished writes when a read began."""

    start: int


class WriteGuard:
    """Which messages were written since when. Keys are whatever identifies a message within one account."""

    def __init__(self) -> None:
        self._finished = 0
        self._in_flight: dict[Hashable, int] = {}
        self._last_write: dict[Hashable, int] = {}
        self._reads: set[ReadMark] = set()

    @contextmanager
    def reading(self) -> Iterator[ReadMark]:
        """Mark the beginning of a read, before the backend is asked; forget it at the end."""
        mark = ReadMark(self._finished)
        self._reads.add(mark)
        try:
            yield mark
        finally:
            self._reads.discard(mark)
            if not self._reads:
                self._last_write.clear()

    @contextmanager
    def writing(self, keys: Iterable[Hashable]) -> Iterator[None]:
        """Mark messages as being written, from before the backend is told until after the store has the outcome."""
        held = tuple(keys)
        for key in held:
            self._in_flight[key] = self._in_flight.get(key, 0) + 1
        try:
            yield
        finally:
            for key in held:
                self._in_flight[key] -= 1
                if not self._in_flight[key]:
                    del self._in_flight[key]
            self.wrote(held)

    def wrote(self, keys: Iterable[Hashable]) -> None:
        """Take note of a write whose keys were not known before it was done, such as a new message."""
        self._finished += 1
        if self._reads:
            for key in keys:
                self._last_write[key] = self._finished

    def is_stale(self, mark: ReadMark, key: Hashable) -> bool:
        """Whether what was read since `mark` may be older than what we wrote."""
        return key in self._in_flight or self._last_write.get(key, 0) > mark.start
