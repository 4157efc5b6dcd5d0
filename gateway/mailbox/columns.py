"""The messages of one mailbox as columns: what FETCH FLAGS, SEARCH and STATUS need, without SQL."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress

UNKNOWN = -1
"""In the columns of sizes, dates and save dates: not known yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a mailbox.

    `flag_set` is a number of `FlagSets`; `size` in octets; `internal_date` and `save_date` in Unix seconds, with
    `zone` in minutes east of UTC. `UNKNOWN` marks what is not known.
    """

    uid: int
    message_id: int
    flag_set: int
    modseq: int
    size: int
    internal_date: int
    zone: int
    save_date: int


class Columns:
    """Parallel arrays in the order of UIDs; 48 octets per message."""

    __slots__ = ("flag_sets", "internal_dates", "message_ids", "modseqs", "save_dates", "sizes", "uids", "zones")

    def __init__(self) -> None:
        self.uids = array("I")
        self.message_ids = array("q")
        self.flag_sets = array("I")
        self.modseqs = array("q")
        self.sizes = array("q")
        self.internal_dates = array("q")
        self.zones = array("h")
        self.save_dates = array("q")

    def __len__(self) -> int:
        return len(self.uids)

    def index(self, uid: int) -> int | None:
        """Return the position of the UID, or None."""
        position = bisect_left(self.uids, uid)
        if position < len(self.uids) and self.uids[position] == uid:
            return position
        return None

    def without_size(self) -> list[int]:
        """Return the UIDs of messages whose exact size is not known."""
        return [uid for uid, size in zip(self.uids, self.sizes, strict=True) if size == UNKNOWN]

    def without_date(self) -> list[int]:
        """Return the UIDs of messages whose internal date is not known."""
        return [uid for uid, date in zip(self.uids, self.internal_dates, strict=True) if date == UNKNOWN]

    def entry(self, position: int) -> Entry:
        return Entry(
            self.uids[position],
            self.message_ids[position],
            self.flag_sets[position],
            self.modseqs[position],
            self.sizes[position],
            self.internal_dates[position],
            self.zones[position],
            self.save_dates[position],
        )

    def put(self, entry: Entry) -> bool:
        """Insert the entry or replace the one of its UID; return whether it is new."""
        if not self.uids or entry.uid > self.uids[-1]:
            position, is_new = len(self.uids), True
        else:
            position = bisect_left(self.uids, entry.uid)
            is_new = self.uids[position] != entry.uid
        for column, value in zip(self._all(), _values(entry), strict=True):
            if is_new:
                column.insert(position, value)
            else:
                column[position] = value
        return is_new

    def remove(self, uids: Iterable[int]) -> list[Entry]:
        """Take the UIDs out, those that are there, and return what they were."""
        positions = sorted(position for uid in set(uids) if (position := self.index(uid)) is not None)
        removed = [self.entry(position) for position in positions]
        for column in self._all():
            _delete(column, positions)
        return removed

    def _all(self) -> tuple[array[int], ...]:
        return (
            self.uids,
            self.message_ids,
            self.flag_sets,
            self.modseqs,
            self.sizes,
            self.internal_dates,
            self.zones,
            self.save_dates,
        )


def _values(entry: Entry) -> tuple[int, ...]:
    return (
        entry.uid,
        entry.message_id,
        entry.flag_set,
        entry.modseq,
        entry.size,
        entry.internal_date,
        entry.zone,
        entry.save_date,
    )


def _delete(column: array[int], positions: list[int]) -> None:
    """Delete ascending positions: a few by moving memory, many by building the column anew."""
    if len(positions) > 32:
        keep = bytearray(b"\1") * len(column)
        for position in positions:
            keep[position] = 0
        column[:] = array(column.typecode, compress(column, keep))
        return
    for position in reversed(positions):
        del column[position]
