"""STORE of one view: what the client takes for granted afterwards, and what it has to be told all the same.

A client that stores flags silently works out by itself what its messages have now (RFC 9051 section 6.4.6). Where
others have changed them as well, it would be wrong, and is told.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.api.errors import ConnectorError
from gateway.errors import from_connector
from gateway.mailbox.outcomes import StoreOutcome
from gateway.mailbox.pending import Pending
from gateway.store import mailboxes
from gateway.sync.flag_writer import FlagAction
from gateway.wire.commands import StoreAction

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.mailbox.transfer import Transfer
    from gateway.sync.engine import AccountEngine

_ACTIONS = {
    StoreAction.REPLACE: FlagAction.REPLACE,
    StoreAction.ADD: FlagAction.ADD,
    StoreAction.REMOVE: FlagAction.REMOVE,
}
_ROWS = 4096
"""Messages that are looked at before others on the loop have their turn: about half a millisecond's work."""

_ABSENT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Expected:
    """The numbers of the flag sets that messages will have; `_ABSENT` for those of which the client has to be told."""

    uids: array[int]
    flag_sets: array[int]


class FlagStore:
    """Carries out one STORE; `pending` is what the view's client has still to be told of."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, transfer: Transfer, pending: Pending) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._transfer = transfer
        self._pending = pending

    async def run(
        self, uids: Sequence[int], action: StoreAction, flags: Sequence[str], unchanged_since: int | None
    ) -> StoreOutcome:
        """Change flags; what is left in `pending` is what the client cannot know.

        Raises:
            MailError: nothing was changed.
        """
        verb = _ACTIONS[action]
        # Where others changed flags too, only a client that replaces them all knows what they are now.
        untold = set() if action is StoreAction.REPLACE else self._pending.among(uids)
        expected = [block async for block in self._expected(uids, untold, verb, flags)]
        if unchanged_since is None and await self._is_so_already(expected):
            return StoreOutcome()
        try:
            result = await self._engine.store_flags(self._mailbox.row, uids, verb, flags, unchanged_since)
        except ConnectorError as error:
            raise from_connector(error) from error
        await self._mailbox.refresh()
        await self._transfer.written(result.touched - {self._mailbox.id})
        left_alone = {*result.modified, *result.failed}
        for number, block in enumerate(expected):
            if number:
                await asyncio.sleep(0)
            self._settle(block, left_alone)
        return StoreOutcome(result.modified, result.failed, from_connector(result.error) if result.error else None)

    async def _expected(
        self, uids: Sequence[int], untold: set[int], verb: FlagAction, flags: Sequence[str]
    ) -> AsyncIterator[_Expected]:
        """Yield what the messages will have; each of the few sets is worked out once."""
        flag_sets = self._mailbox.flag_sets
        after = {_ABSENT: _ABSENT}
        for start in range(0, len(uids), _ROWS):
            if start:
                await asyncio.sleep(0)
            block = array("I", uids[start : start + _ROWS])
            numbers = self._numbers(block)
            for number in set(numbers).difference(after):
                wanted = verb.apply(flag_sets[number], flags)
                after[number] = flag_sets.intern(wanted.bits, wanted.keywords)
            expected = array("I", [after[number] for number in numbers])
            if untold:
                for at, uid in enumerate(block):
                    if uid in untold:
                        expected[at] = _ABSENT
            yield _Expected(block, expected)

    async def _is_so_already(self, expected: Sequence[_Expected]) -> bool:
        """Whether nothing is to be done, by what the store says now."""
        if any(_ABSENT in block.flag_sets or self._numbers(block.uids) != block.flag_sets for block in expected):
            return False
        row = await self._engine.context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, self._mailbox.id))
        return row is not None and self._mailbox.is_at(row)

    def _numbers(self, uids: array[int]) -> array[int]:
        """Return the numbers of the flag sets that the messages have, `_ABSENT` for one that is gone."""
        columns = self._mailbox.columns
        position = columns.run_of(uids)
        if position is not None:
            return columns.flag_sets[position : position + len(uids)]
        positions = map(columns.index, uids)
        return array("I", [_ABSENT if at is None else columns.flag_sets[at] for at in positions])

    def _settle(self, expected: _Expected, left_alone: set[int]) -> None:
        """Compare what the messages have now with what the client expects."""
        numbers = self._numbers(expected.uids)
        if numbers == expected.flag_sets and _ABSENT not in numbers and left_alone.isdisjoint(expected.uids):
            self._pending.discard(expected.uids)
            return
        known: list[int] = []
        surprises: list[int] = []
        for uid, number, wanted in zip(expected.uids, numbers, expected.flag_sets, strict=True):
            if wanted != _ABSENT and uid not in left_alone:
                # A message that was away for a moment keeps its flags, while its client takes them for changed.
                (known if number == wanted else surprises).append(uid)
        self._pending.discard(known)
        if surprises:
            self._pending.add(frozenset(surprises))
