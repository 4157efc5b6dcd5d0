"""Where messages belong among others that are sorted already, without sorting those again."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final

from connectors.api import errors
from gateway.errors import from_connector
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.sorting import Sorter
from gateway.store import sort_keys as store
from gateway.wire.sort import SortCriterion, SortField

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

MOST_LOOKED_UP: Final = 100
"""So many messages have their places looked up one by one; to sort all of the mailbox is less work for more."""

_FROM_LISTING: Final = frozenset({SortField.ARRIVAL, SortField.SIZE})


@dataclass(frozen=True, slots=True)
class _Key:
    """What a message is sorted by: the values of the criteria, and then its UID."""

    values: tuple[int | str, ...]
    uid: int


class SortedPlaces:
    """Compares the messages of one mailbox by some criteria."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, criteria: tuple[SortCriterion, ...]) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._criteria = criteria
        self._fields = {criterion.field for criterion in criteria}

    async def find(self, order: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
        """Return for the UIDs `new` how many of the sorted UIDs `order` stand before each: (number, UID), sorted.

        Messages that are gone are left out.

        Raises:
            MailError: headers have to be read, and the backend cannot give them now.
        """
        if len(new) > MOST_LOOKED_UP:
            return await self._by_sorting(order, new)
        await self._have_keys(new)
        keys = await self._keys(new)
        known: dict[int, _Key | None] = {}
        found: list[tuple[int, int]] = []
        for key in sorted((key for key in keys if key is not None), key=cmp_to_key(self._compare)):
            # What is sorted behind another one is never before it.
            start = found[-1][0] if found else 0
            found.append((await self._number_before(order, key, start, known), key.uid))
        return found

    async def _number_before(self, order: Sequence[int], key: _Key, start: int, known: dict[int, _Key | None]) -> int:
        low, high = start, len(order)
        while low < high:
            place = middle = (low + high) // 2
            while (other := await self._key(order[place], known)) is None:
                # It has gone just now, and tells nothing any more: the next one does.
                place += 1
                if place == high:
                    break
            if other is None or self._compare(key, other) < 0:
                high = middle
            else:
                low = place + 1
        return low

    async def _key(self, uid: int, known: dict[int, _Key | None]) -> _Key | None:
        if uid not in known:
            known[uid] = (await self._keys([uid]))[0]
        return known[uid]

    async def _keys(self, uids: Sequence[int]) -> list[_Key | None]:
        """Return the key of each, None for a message that is gone."""
        entries = [self._mailbox.find(uid) for uid in uids]
        ids = [entry.message_id for entry in entries if entry is not None]
        kept: dict[int, dict[SortField, int | str]] = {}
        if self._fields - _FROM_LISTING:
            kept = await self._engine.context.store.read(lambda tx: store.values(tx, ids))
        keys: list[_Key | None] = []
        for entry in entries:
            if entry is None or (self._fields - _FROM_LISTING and entry.message_id not in kept):
                keys.append(None)
                continue
            values = {
                SortField.ARRIVAL: entry.internal_date,
                SortField.SIZE: entry.size,
                **kept.get(entry.message_id, {}),
            }
            keys.append(_Key(tuple(values[criterion.field] for criterion in self._criteria), entry.uid))
        return keys

    def _compare(self, left: _Key, right: _Key) -> int:
        for criterion, one, other in zip(self._criteria, left.values, right.values, strict=True):
            if one != other:
                is_before = one < other  # type: ignore[operator]  # of one criterion, so of one type
                return -1 if is_before is not criterion.is_reversed else 1
        return left.uid - right.uid

    async def _have_keys(self, uids: Sequence[int]) -> None:
        """See to it that what these are sorted by is known."""
        needs = Needs(
            date=SortField.ARRIVAL in self._fields,
            size=SortField.SIZE in self._fields,
            envelope=bool(self._fields - _FROM_LISTING),
        )
        entries = [entry for uid in uids if (entry := self._mailbox.find(uid)) is not None]
        try:
            await Completer(self._mailbox, self._engine).complete(entries, needs)
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    async def _by_sorting(self, order: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
        uids, places = await Sorter(self._mailbox, self._engine).order(self._criteria)
        after = {uid: number for number, uid in enumerate(order, 1)}
        wanted = set(new)
        found: list[tuple[int, int]] = []
        before = 0
        for uid in (uids[place] for place in places):
            if uid in wanted:
                found.append((before, uid))
            else:
                before = after.get(uid, before)
        return found


def merged(order: array[int], places: Sequence[tuple[int, int]]) -> array[int]:
    """Return the order with the UIDs that `SortedPlaces.find` has found places for."""
    whole = array("I")
    start = 0
    for number, uid in places:
        whole.extend(order[start:number])
        whole.append(uid)
        start = number
    whole.extend(order[start:])
    return whole
