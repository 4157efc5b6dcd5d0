"""How the messages of an open mailbox are sorted and threaded, as far as anybody has asked."""

from __future__ import annotations

from array import array

from gateway.wire.sort import SortCriterion, SortField, ThreadAlgorithm


class SortedColumns:
    """What has been found out of one mailbox; good for the messages with `uids`, and empty for any others."""

    def __init__(self) -> None:
        self.uids = array("I")
        self.has_keys = False
        """Whether the keys of all of them are in the store."""
        self.ranks: dict[SortField, array[int]] = {}
        self.orders: dict[tuple[SortCriterion, ...], array[int]] = {}
        self.threads: dict[ThreadAlgorithm, array[int]] = {}

    def of(self, uids: array[int]) -> SortedColumns:
        """Return itself, emptied if the messages are others now."""
        if self.uids != uids:
            self.uids = uids[:]
            self.has_keys = False
            self.ranks.clear()
            self.orders.clear()
            self.threads.clear()
        return self
