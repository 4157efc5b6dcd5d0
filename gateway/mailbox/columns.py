"""The messages of one mailbox as columns: what FETCH FLAGS, SEARCH and STATUS need, without SQL."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import compress

UNKNOWN = -1
"""In the columns of sizes, dates and save dates: not known yet."""

_STRIDE = 256


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
    """Parallel arrays in the order of UIDs; 48 octets per message.

    `uids` and `flag_sets` are changed by the methods only, which keep in line what is counted and shared. `flag_counts`
    tells for each flag set in use how many messages have it.
    """

    __slots__ = (
        "_all_seen_before",
        "_shared_uids",
        "flag_counts",
        "flag_sets",
        "internal_dates",
        "message_ids",
        "modseqs",
        "save_dates",
        "sizes",
        "uids",
        "zones",
    )

    def __init__(self) -> None:
        self.flag_counts: dict[int, int] = {}
        self._shared_uids: array[int] | None = None
        self._all_seen_before = 0
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

    def run_of(self, uids: array[int]) -> int | None:
        """Return the position of the first of the UIDs, ascending and not none, if they follow one another here."""
        position = bisect_left(self.uids, uids[0])
        return position if self.uids[position : position + len(uids)] == uids else None

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
        if is_new:
            self._shared_uids = None
        else:
            self._count(self.flag_sets[position], -1)
        self._count(entry.flag_set, 1)
        # What was put may be unseen, and nothing beyond it has moved to the front.
        self._all_seen_before = min(self._all_seen_before, position)
        for column, value in zip(self._all(), _values(entry), strict=True):
            if is_new:
                column.insert(position, value)
            else:
                column[position] = value
        return is_new

    def extend(self, entries: Sequence[Entry]) -> None:
        """Append entries, ascending and all above what is there; many at a time cost little."""
        if not entries:
            return
        self._shared_uids = None
        for number, count in Counter(entry.flag_set for entry in entries).items():
            self._count(number, count)
        for column, values in zip(self._all(), zip(*map(_values, entries), strict=True), strict=True):
            column.extend(values)

    def set_flags(self, start: int, flag_sets: array[int], modseq: int) -> None:
        """Give the messages from position `start` on new flags and one mod-sequence, in place."""
        stop = start + len(flag_sets)
        for number, count in Counter(self.flag_sets[start:stop]).items():
            self._count(number, -count)
        for number, count in Counter(flag_sets).items():
            self._count(number, count)
        self._all_seen_before = min(self._all_seen_before, start)
        self.flag_sets[start:stop] = flag_sets
        self.modseqs[start:stop] = array("q", (modseq,)) * len(flag_sets)

    def set_flag_set(self, position: int, flag_set: int, modseq: int) -> None:
        """Do the same for one message."""
        self._count(self.flag_sets[position], -1)
        self._count(flag_set, 1)
        self._all_seen_before = min(self._all_seen_before, position)
        self.flag_sets[position] = flag_set
        self.modseqs[position] = modseq

    def _count(self, number: int, change: int) -> None:
        count = self.flag_counts.get(number, 0) + change
        if count:
            self.flag_counts[number] = count
        else:
            del self.flag_counts[number]

    def shared_uids(self) -> array[int]:
        """Return a copy of `uids` that nobody may change: all who ask between two changes get the same."""
        if self._shared_uids is None:
            self._shared_uids = array("I", self.uids)
        return self._shared_uids

    def first_with(self, numbers: AbstractSet[int]) -> int | None:
        """Return the first position whose flag set is one of `numbers`: those without \\Seen, at each call.

        The search begins where the last one ended, unless something has changed before that.
        """
        if self.flag_counts.keys().isdisjoint(numbers):
            return None
        for start in range(self._all_seen_before, len(self), _STRIDE):
            part = self.flag_sets[start : start + _STRIDE]
            if not numbers.isdisjoint(part):
                found = start + next(at for at, number in enumerate(part) if number in numbers)
                self._all_seen_before = found
                return found
        return None

    def remove(self, uids: Iterable[int]) -> list[Entry]:
        """Take the UIDs out, those that are there, and return what they were."""
        positions = sorted(position for uid in set(uids) if (position := self.index(uid)) is not None)
        removed = [self.entry(position) for position in positions]
        if not removed:
            return removed
        self._shared_uids = None
        self._all_seen_before -= bisect_left(positions, self._all_seen_before)
        for entry in removed:
            self._count(entry.flag_set, -1)
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
