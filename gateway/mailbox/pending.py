"""Messages whose flags a client has still to be told of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice


class Pending:
    """UIDs that wait to be told. What many views are told of at once they share until one looks into it."""

    def __init__(self) -> None:
        self._uids: set[int] = set()
        self._shared: list[frozenset[int]] = []

    def add(self, uids: frozenset[int]) -> None:
        """Take note of changes. Costs nothing for each of them."""
        self._shared.append(uids)

    def among(self, uids: Collection[int]) -> set[int]:
        """Return those of the UIDs that wait."""
        return set() if self.is_empty else self._all().intersection(uids)

    def discard(self, uids: Iterable[int]) -> None:
        """Take back what need not be told."""
        self._all().difference_update(uids)

    def take(self, limit: int) -> set[int]:
        """Return some that wait, at most `limit`, and let them wait no more."""
        if self.is_empty:
            return set()
        waiting = self._all()
        taken = waiting if len(waiting) <= limit else set(islice(waiting, limit))
        self._uids = set() if taken is waiting else waiting
        self._uids -= taken
        return taken

    @property
    def is_empty(self) -> bool:
        return not self._shared and not self._uids

    def _all(self) -> set[int]:
        if self._shared:
            self._uids.update(*self._shared)
            self._shared.clear()
        return self._uids
