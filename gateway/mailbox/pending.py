"""Messages whose flags a client has still to be told of."""

from __future__ import annotations

from collections.abc import Collection, Iterable


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
        if not self._shared and not self._uids:
            return set()
        return self._all().intersection(uids)

    def discard(self, uids: Iterable[int]) -> None:
        """Take back what need not be told."""
        self._all().difference_update(uids)

    def take(self) -> set[int]:
        """Return all that wait, and let none wait any more."""
        if not self._shared and not self._uids:
            return set()
        taken = self._all()
        self._uids = set()
        return taken

    def _all(self) -> set[int]:
        if self._shared:
            self._uids.update(*self._shared)
            self._shared.clear()
        return self._uids
