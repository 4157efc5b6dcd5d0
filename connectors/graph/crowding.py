"""How many requests at a time Graph bears: its limit may be one for all of an application's mailboxes together."""

from __future__ import annotations

from typing import Final

_PATIENCE: Final = 50
"""After so many calls in a row that were let through, one more at a time is tried."""


class Crowding:
    """Starts with `most` at a time, goes down by one with each refusal for their number, and slowly up again."""

    def __init__(self, most: int) -> None:
        self._most = max(most, 1)
        self._limit = self._most
        self._passed = 0

    @property
    def limit(self) -> int:
        """How many may be under way now, 1..most."""
        return self._limit

    def refused(self) -> None:
        """Take note that there were too many at a time."""
        self._limit = max(self._limit - 1, 1)
        self._passed = 0

    def passed(self) -> bool:
        """Take note that a call was let through; tell whether the limit is another one now."""
        if self._limit == self._most:
            return False
        self._passed += 1
        if self._passed < _PATIENCE:
            return False
        self._passed = 0
        self._limit += 1
        return True
