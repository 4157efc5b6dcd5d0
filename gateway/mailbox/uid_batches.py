"""Ranges of UIDs that hold so many messages each (RFC 10022)."""

from __future__ import annotations

from collections.abc import Sequence


def uid_batches(uids: Sequence[int], size: int, first: int = 1, last: int | None = None) -> list[tuple[int, int]]:
    """Return batches `first` to `last`, counted from 1, each as its highest UID and its lowest.

    `uids` ascend; the first batch has the highest. Together all batches cover every UID from the highest down to 1, so
    that a message cannot fall between two. The last one may have fewer than `size` messages.
    """
    count = -(-len(uids) // size)
    last = count if last is None else min(last, count)
    batches = []
    for number in range(first, last + 1):
        stop = len(uids) - (number - 1) * size
        high = uids[-1] if number == 1 else uids[stop] - 1
        low = 1 if number == count else uids[stop - size]
        batches.append((high, low))
    return batches
