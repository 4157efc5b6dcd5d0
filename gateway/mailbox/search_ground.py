"""What SEARCH finds out from the columns alone: flags, sizes, dates, numbers, without a step of Python per message."""

from __future__ import annotations

import operator
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat
from typing import TYPE_CHECKING

from gateway.mailbox.columns import UNKNOWN, Columns
from gateway.mailbox.flag_sets import RECENT
from gateway.mailbox.marks import Marks
from gateway.wire import search as keys
from gateway.wire.sequence_set import SequenceSet

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox

_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400
_OCTET_VALUES = 256
_FEW = 32
"""Among so many times as many messages, a few are looked up one by one."""

_LOWEST = 0 if sys.byteorder == "little" else -1

ColumnKey = (
    keys.All
    | keys.HasFlag
    | keys.InUids
    | keys.InSequence
    | keys.LargerThan
    | keys.SmallerThan
    | keys.ModSeqSince
    | keys.Within
    | keys.DateIs
)
"""What the columns answer; `DateIs` only for the internal and the save date."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search looks at: the view's UIDs ascending, its recent ones, and the saved result of `$`."""

    uids: Sequence[int]
    recent: Collection[int]
    saved: Collection[int]
    now: datetime


class Ground:
    """The messages of a search: those of its scope that are still there, in the order of their UIDs.

    `uids` and `message_ids` stay as they were at the beginning; the other columns are those of the moment.
    """

    def __init__(self, mailbox: OpenMailbox, scope: Scope) -> None:
        self._mailbox = mailbox
        self._scope = scope
        self.known = array("I", scope.uids)
        columns = mailbox.columns
        if columns.uids == self.known:
            self._there = None
            self.uids = self.known
        else:
            self._there = Marks.of(self._are_there(self.known))
            self.uids = array("I", self._there.select(self.known))
        self.message_ids = array("q", self._column(lambda columns: columns.message_ids, 0))

    def __len__(self) -> int:
        return len(self.uids)

    def all(self) -> Marks:
        return Marks.all(len(self.uids))

    def with_uids(self, uids: Collection[int]) -> Marks:
        """Return those whose UID is one of these."""
        return Marks.of(map(set(uids).__contains__, self.uids))

    def with_ids(self, message_ids: Collection[int]) -> Marks:
        """Return those whose message id is one of these."""
        return Marks.of(map(set(message_ids).__contains__, self.message_ids))

    def among_known(self, found: Marks) -> Marks:
        """Return what was found as positions in `known`."""
        return found if self._there is None else found.spread(self._there)

    def without_size(self) -> Marks:
        """Return those whose exact size is not known."""
        return _unknown(self._column(lambda columns: columns.sizes, 0))

    def without_date(self) -> Marks:
        """Return those whose internal date is not known."""
        return _unknown(self._column(lambda columns: columns.internal_dates, 0))

    def _are_there(self, uids: array[int]) -> Iterable[bool]:
        columns = self._mailbox.columns
        if len(uids) * _FEW < len(columns):
            return [columns.index(uid) is not None for uid in uids]
        return map(set(columns.uids).__contains__, uids)

    def _column(self, pick: Callable[[Columns], array[int]], lacking: int) -> Sequence[int]:
        """Return the column's values of these messages, `lacking` for one that has gone since the beginning."""
        columns = self._mailbox.columns
        values = pick(columns)
        if columns.uids == self.uids:
            return values
        if len(self.uids) * _FEW < len(columns):
            places = map(columns.index, self.uids)
            return array(values.typecode, [lacking if place is None else values[place] for place in places])
        by_uid = dict(zip(columns.uids, values, strict=True))
        return array(values.typecode, map(by_uid.get, self.uids, repeat(lacking)))

    # -- keys ---------------------------------------------------------------------------------------------------------

    def fitting(self, key: ColumnKey) -> Marks:
        """Return those that match the key."""
        match key:
            case keys.All():
                return self.all()
            case keys.InUids():
                return self._with_numbers(key.uids, is_uid=True)
            case keys.InSequence():
                return self._with_numbers(key.numbers, is_uid=False)
            case keys.HasFlag():
                return self._with_flag(key)
            case keys.LargerThan():
                return _above(self._column(lambda columns: columns.sizes, UNKNOWN), key.octets)
            case keys.SmallerThan():
                return _between(self._column(lambda columns: columns.sizes, UNKNOWN), UNKNOWN, key.octets)
            case keys.ModSeqSince():
                return _above(self._column(lambda columns: columns.modseqs, UNKNOWN), key.modseq - 1)
            case keys.Within():
                dates = self._column(lambda columns: columns.internal_dates, UNKNOWN)
                limit = int(self._scope.now.timestamp()) - key.seconds
                return _above(dates, limit - 1) if key.is_younger else _between(dates, UNKNOWN, limit + 1)
            case keys.DateIs():
                return self._with_date(key)

    def _with_numbers(self, numbers: SequenceSet, *, is_uid: bool) -> Marks:
        if numbers.is_saved_result:
            return self.with_uids(self._scope.saved)
        if is_uid:
            uids = self.uids
            ranges = numbers.resolve(self.known[-1] if self.known else 0)
            places = ((bisect_left(uids, low), bisect_right(uids, high)) for low, high in ranges)
            return Marks.of_ranges(len(uids), places)
        total = len(self.known)
        places = ((low - 1, min(high, total)) for low, high in numbers.resolve(total) if low <= total)
        marks = Marks.of_ranges(total, places)
        return marks if self._there is None else Marks(bytes(self._there.select(marks.octets)))

    def _with_flag(self, key: keys.HasFlag) -> Marks:
        if key.flag == RECENT:
            recent = self.with_uids(self._scope.recent)
            return recent if key.is_set else self.all() - recent
        flag_sets, wanted = self._mailbox.flag_sets, key.flag.lower()
        lacking = len(flag_sets)
        numbers = self._column(lambda columns: columns.flag_sets, lacking)

        def fits(number: int) -> bool:
            return (wanted in (name.lower() for name in flag_sets[number].names())) is key.is_set

        if lacking < _OCTET_VALUES and isinstance(numbers, array):
            # The usual case: the low octets of the column are translated in one call.
            verdicts = bytes(map(fits, range(lacking))).ljust(_OCTET_VALUES, b"\0")
            return Marks(numbers.tobytes()[_LOWEST % numbers.itemsize :: numbers.itemsize].translate(verdicts))
        fitting = set(filter(fits, set(numbers) - {lacking}))
        return Marks.of(map(fitting.__contains__, numbers))

    def _with_date(self, key: keys.DateIs) -> Marks:
        """Compare INTERNALDATE's or the save date's day; the internal date's in the zone it is shown in."""
        start = (key.date - _EPOCH).days * _DAY_S
        if key.which is keys.DateOf.SAVED:
            seconds = self._column(lambda columns: columns.save_dates, UNKNOWN)
            return _of_day(seconds, start, key.comparison) - _unknown(seconds)
        seconds = self._column(lambda columns: columns.internal_dates, UNKNOWN)
        zones = self._column(lambda columns: columns.zones, 0)
        shown = array("q", map(operator.add, seconds, map(operator.mul, zones, repeat(60)))) if any(zones) else seconds
        return _of_day(shown, start, key.comparison) - _unknown(seconds)


def compare(day: date, key: keys.DateIs) -> bool:
    """Tell whether a day is as a date key wants it."""
    match key.comparison:
        case keys.Comparison.BEFORE:
            return day < key.date
        case keys.Comparison.ON:
            return day == key.date
        case keys.Comparison.SINCE:
            return day >= key.date


def _of_day(seconds: Sequence[int], start: int, comparison: keys.Comparison) -> Marks:
    match comparison:
        case keys.Comparison.BEFORE:
            return Marks.of(map(operator.gt, repeat(start), seconds))
        case keys.Comparison.ON:
            return _between(seconds, start - 1, start + _DAY_S)
        case keys.Comparison.SINCE:
            return _above(seconds, start - 1)


def _unknown(values: Sequence[int]) -> Marks:
    # Mostly there is none, which is told far faster than which ones there are.
    if UNKNOWN not in values:
        return Marks.none(len(values))
    return Marks.of(map(operator.eq, values, repeat(UNKNOWN)))


def _above(values: Sequence[int], limit: int) -> Marks:
    return Marks.of(map(operator.lt, repeat(limit), values))


def _between(values: Sequence[int], low: int, high: int) -> Marks:
    """Return the positions of values above `low` and below `high`."""
    return _above(values, low) & Marks.of(map(operator.gt, repeat(high), values))
