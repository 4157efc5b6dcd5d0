"""Searches whose results are kept up to date (RFC 5267 section 4.3): only messages that have changed are looked at."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.mailbox.sorted_places import SortedPlaces, merged
from gateway.wire import search as keys
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import MAX_NUMBER, STAR, SequenceSet

if TYPE_CHECKING:
    from gateway.mailbox.view import View

FEW = 32
"""So few messages are put into a result, or taken out, one by one."""


class CannotUpdate(Exception):
    """The result of such a search is not kept up to date; `args` has the reason, for the client."""


@dataclass(frozen=True, slots=True)
class Change:
    """Messages that come into a result, or leave it: the first of them at `position`, from 1; 0 for mailbox order."""

    is_added: bool
    position: int
    uids: Sequence[int]


class UpdatingSearch:
    """What one search of a view has found, as its client knows it.

    `places` are of a sorted result, `found` is in its order then, and ascending otherwise.
    """

    def __init__(self, view: View, key: SearchKey, found: Sequence[int], places: SortedPlaces | None = None) -> None:
        self._view = view
        self._key = key
        self._members = array("I", sorted(found))
        self._places = places
        self._order = None if places is None else array("I", found)

    def __contains__(self, uid: int) -> bool:
        place = bisect_left(self._members, uid)
        return place < len(self._members) and self._members[place] == uid

    def remove(self, uids: Iterable[int]) -> list[Change]:
        """Take messages out, those that are in, and return what has changed by that."""
        gone = sorted(uid for uid in set(uids) if uid in self)
        if not gone:
            return []
        self._members = _without(self._members, [bisect_left(self._members, uid) for uid in gone])
        if self._order is None:
            return [Change(False, 0, gone)]
        order, leaving = self._order, set(gone)
        if len(gone) <= FEW:
            at = sorted(map(order.index, gone))
        else:
            at = [place for place, uid in enumerate(order) if uid in leaving]
        self._order = _without(order, at)
        changes = []
        left = 0
        for run in _runs(at):
            # Those that have left before do not count any more.
            changes.append(Change(False, run[0] - left + 1, [order[place] for place in run]))
            left += len(run)
        return changes

    async def look_at(self, uids: Collection[int]) -> list[Change]:
        """Look whether messages that are new or have changed belong in, and return what has changed by that.

        Raises:
            MailError: the backend is needed and cannot be reached.
        """
        among = sorted(uids)
        found = set(await self._view.search(self._key, among=among))
        new = [uid for uid in among if uid in found and uid not in self]
        changes = self.remove(uid for uid in among if uid not in found)
        if not new:
            return changes
        if self._places is None or self._order is None:
            self._add(new)
            return [*changes, Change(True, 0, new)]
        places = await self._places.find(self._order, new)
        self._order = merged(self._order, places)
        self._add([uid for _, uid in places])
        # Each comes behind those that have been added before it.
        at = [number + added for added, (number, _) in enumerate(places)]
        changes += [Change(True, run[0] + 1, self._order[run[0] : run[-1] + 1]) for run in _runs(at)]
        return changes

    def _add(self, new: Sequence[int]) -> None:
        if len(new) <= FEW:
            for uid in new:
                insort(self._members, uid)
        else:
            self._members = array("I", sorted((*self._members, *new)))


def lasting(key: SearchKey, view: View, saved: Sequence[int]) -> SearchKey:
    """Return a search for what `key` means now, as long as the mailbox is selected: without sequence numbers and `$`.

    Sequence numbers mean the messages that have them now (RFC 5267 section 4.3), and so does the saved result.

    Raises:
        CannotUpdate: its result changes without anything being told of its messages, or they would have to be read.
    """
    match key:
        case keys.InSequence(numbers) | keys.InUids(numbers) if numbers.is_saved_result:
            return keys.InUids(SequenceSet.from_numbers(saved))
        case keys.InSequence(numbers):
            ranges = numbers.resolve(len(view.uids))
            return keys.InUids(
                SequenceSet.from_numbers(uid for low, high in ranges for uid in view.uids[low - 1 : high])
            )
        case keys.InUids(numbers):
            return keys.InUids(_open_upward(numbers, view.uids[-1] if view.uids else 0))
        case keys.BodyContains() | keys.TextContains() | keys.GmailRaw():
            raise CannotUpdate("Texts of messages are looked for only once")
        case keys.Within():
            raise CannotUpdate("OLDER and YOUNGER mean the time of the command")
        case keys.HasLabel():
            raise CannotUpdate("Changes of labels are not told")
        case keys.Not(inner):
            return keys.Not(lasting(inner, view, saved))
        case keys.Fuzzy(inner):
            return keys.Fuzzy(lasting(inner, view, saved))
        case keys.Or(left, right):
            return keys.Or(lasting(left, view, saved), lasting(right, view, saved))
        case keys.And(parts):
            return keys.And(tuple(lasting(part, view, saved) for part in parts))
        case _:
            return key


def _open_upward(uids: SequenceSet, top: int) -> SequenceSet:
    """Return UIDs without `*`: what comes later is in `100:*`."""
    ranges: list[tuple[int, int]] = []
    for first, last in uids.ranges:
        low = first or last
        if STAR not in (first, last):
            ranges.append((first, last))
        elif low == 1 or 0 < low <= top:
            ranges.append((low, MAX_NUMBER))
        else:
            # The last message is meant, whichever that is: a new one puts the one before out.
            raise CannotUpdate("The last message is another one whenever one comes")
    return SequenceSet(tuple(ranges))


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Return ascending numbers in runs of those that follow one another."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _without(uids: array[int], places: Sequence[int]) -> array[int]:
    """Return the UIDs but for those at the places, which ascend."""
    left = array("I")
    start = 0
    for run in _runs(places):
        left.extend(uids[start : run[0]])
        start = run[-1] + 1
    left.extend(uids[start:])
    return left
