"""Keeping a stale read from undoing a local write.

A page of states may have been read by the backend before a write of ours reached it, and arrive after. Whoever reads
takes a `ReadMark` first; whoever writes names the messages it writes. An entry of the page about a message written
since the mark is then left out, and the page is asked for again later (its cursor is not stored).

The reverse happens too: a message that a write of ours makes may be read, and read to be gone again, before the write
itself is answered. While somebody is `receiving`, readers therefore say what they found to be gone. What was said
before a write began does not concern it: a message may come back to where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

MANY = 256
"""A write of so many messages is looked into as a whole, and its keys are not noted one by one."""


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
        self._made: dict[Hashable, int] = {}
        self._large: list[Set[Hashable]] = []
        self._large_finished: list[tuple[int, Set[Hashable]]] = []
        self._reads: set[ReadMark] = set()
        self._waiting: list[Callable[[], None]] = []
        self._receivers = 0
        self._told = 0
        self._gone: dict[tuple[int, Hashable], int] = {}
        self._holders: dict[Hashable, tuple[int, Set[int]]] = {}

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
                self._large_finished.clear()
                self._made.clear()

    @contextmanager
    def writing(self, keys: Collection[Hashable]) -> Iterator[None]:
        """Mark messages as being written, from before the backend is told until after the store has the outcome.

        A large set of keys is kept as it is, and must not be changed meanwhile.
        """
        if isinstance(keys, Set) and len(keys) >= MANY:
            self._large.append(keys)
        else:
            for key in keys:
                self._in_flight[key] = self._in_flight.get(key, 0) + 1
        try:
            yield
        finally:
            # In this order, as the store's thread asks `is_stale` meanwhile.
            if isinstance(keys, Set) and len(keys) >= MANY:
                self._finished += 1
                if self._reads:
                    self._large_finished.append((self._finished, keys))
                # By identity: another write may have the same keys.
                self._large = [other for other in self._large if other is not keys]
            else:
                self._count(self._last_write, keys)
                for key in keys:
                    self._in_flight[key] -= 1
                    if not self._in_flight[key]:
                        del self._in_flight[key]
            waiting, self._waiting = self._waiting, []
            for callback in waiting:
                callback()

    def made(self, keys: Iterable[Hashable]) -> None:
        """Take note of messages that a write has made, before they are placed."""
        self._count(self._made, keys)

    def _count(self, table: dict[Hashable, int], keys: Iterable[Hashable]) -> None:
        self._finished += 1
        if self._reads:
            table.update(dict.fromkeys(keys, self._finished))

    def when_written(self, callback: Callable[[], None]) -> None:
        """Call back after the next write ends, at once if there is none: only then is it of use to read again."""
        if self._in_flight or self._large:
            self._waiting.append(callback)
        else:
            callback()

    async def written(self) -> None:
        """Wait until the next write ends; return at once if there is none."""
        ended = asyncio.Event()
        self.when_written(ended.set)
        await ended.wait()

    def is_quiet(self, mark: ReadMark) -> bool:
        """Whether nothing at all was written since `mark`, and nothing is being written."""
        return not self._in_flight and not self._large and self._finished == mark.start

    def is_stale(self, mark: ReadMark, key: Hashable) -> bool:
        """Whether what was read since `mark` may be older than what we wrote."""
        return self._writers(key) > 0 or self._was_written(mark, key)

    def is_any_stale(self, mark: ReadMark, keys: Iterable[Hashable]) -> bool:
        """Whether that holds for any of the messages."""
        if self._finished == mark.start and not self._in_flight and not self._large:
            return False
        return any(self.is_stale(mark, key) for key in keys)

    def is_contested(self, mark: ReadMark, key: Hashable) -> bool:
        """Whether a message that is being written was, since `mark`, written by somebody else too.

        Of two such writes nobody knows whose outcome is the later one.
        """
        return self._writers(key) > 1 or self._was_written(mark, key)

    def _writers(self, key: Hashable) -> int:
        return self._in_flight.get(key, 0) + sum(key in keys for keys in self._large)

    def _was_written(self, mark: ReadMark, key: Hashable) -> bool:
        if self._last_write.get(key, 0) > mark.start:
            return True
        return any(number > mark.start and key in keys for number, keys in self._large_finished)

    def is_younger(self, mark: ReadMark, key: Hashable) -> bool:
        """Whether the message was made since `mark`, so that what does not name it does not say that it is gone."""
        return self._made.get(key, 0) > mark.start

    # -- what comes and goes while it is being written ----------------------------------------------------------------

    @contextmanager
    def receiving(self) -> Iterator[int]:
        """Mark that messages are being made whose refs are not known yet, until after the store has them.

        Yields how much readers had said by then; see `is_gone`.
        """
        self._receivers += 1
        try:
            yield self._told
        finally:
            self._receivers -= 1
            if not self._receivers:
                self._gone.clear()
                self._holders.clear()

    def told_gone(self, mailbox_id: int, refs: Iterable[Hashable]) -> None:
        """Take note that messages were read to be gone from a mailbox."""
        if self._receivers:
            self._told += 1
            self._gone.update(((mailbox_id, ref), self._told) for ref in refs)

    def told_holders(self, ref: Hashable, mailbox_ids: Set[int]) -> None:
        """Take note of all the mailboxes that a message was read to be in."""
        if self._receivers:
            self._told += 1
            self._holders[ref] = (self._told, mailbox_ids)

    def is_gone(self, mailbox_id: int, ref: Hashable, since: int = 0) -> bool:
        """Whether a message that was made since `receiving`, which gave `since`, has left the mailbox already."""
        told, holders = self._holders.get(ref, (0, frozenset()))
        return self._gone.get((mailbox_id, ref), 0) > since or (told > since and mailbox_id not in holders)

    def is_told(self, ref: Hashable, since: int = 0) -> bool:
        """Whether reading has told since `receiving`, which gave `since`, in which mailboxes the message is."""
        return self._holders.get(ref, (0, None))[0] > since
