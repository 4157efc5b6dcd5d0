"""Ascending UIDs in arrays, as every view of a mailbox has them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

FEW = 16
"""If no more than one in so many is to go, the others are copied in runs."""


def without(uids: array[int], gone: Sequence[int]) -> array[int]:
    """Return the UIDs without those that are gone, which are ascending and all among them.

    Of 100,000 UIDs one costs 30 us, where to look at each costs 4 ms: all views do this in one turn of the loop.
    """
    if len(gone) > len(uids) // FEW:
        left = set(gone)
        return array("I", [uid for uid in uids if uid not in left])
    kept, start = array("I"), 0
    for uid in gone:
        position = bisect_left(uids, uid, start)
        kept += uids[start:position]
        start = position + 1
    kept += uids[start:]
    return kept
