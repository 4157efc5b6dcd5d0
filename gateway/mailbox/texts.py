"""Finished texts of messages that follow one another, read from the store in the order of the columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.mailbox.column_block import Column, Texts
from gateway.store.database import Transaction
from gateway.store.outline_runs import Outline, outline_run

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

COLD_S = 0.01
"""A block takes less than a millisecond from a warm file. One that takes longer than this had to wait for the disk."""

_OUTLINES: Mapping[Column, Outline] = {
    Column.ENVELOPE: Outline.ENVELOPE,
    Column.STRUCTURE: Outline.STRUCTURE,
    Column.HEADER: Outline.HEADER,
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is read in one transaction."""

    mailbox_id: int
    first_uid: int
    last_uid: int
    columns: Sequence[Column]

    async def read(self, tx: Transaction) -> list[list[tuple[int, bytes]]]:
        return [
            await outline_run(tx, _OUTLINES[column], self.mailbox_id, self.first_uid, self.last_uid)
            for column in self.columns
        ]


class TextReader:
    """Reads texts of one open mailbox.

    On the event loop, as long as the file is warm: rows that a thread reads while the loop is busy are paid for with a
    turn of the interpreter's lock each. After a block that had to wait for the disk, the next is read beside the loop.
    """

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._context = engine.context
        self._is_cold = False

    async def read(self, uids: Sequence[int], wanted: Collection[Column]) -> Texts | None:
        """Return those of the wanted columns that are texts, for UIDs that are ascending and not empty.

        None if something is missing, or if the store has other messages between the first and the last.
        """
        columns = [column for column in wanted if column in _OUTLINES]
        if not columns:
            return Texts()
        runs = await self._read(_Wanted(self._mailbox.id, uids[0], uids[-1], columns))
        if any(len(run) != len(uids) for run in runs):
            return None
        message_ids, *others = ([message_id for message_id, _ in run] for run in runs)
        if any(ids != message_ids for ids in others):
            return None
        values = {column: [text for _, text in run] for column, run in zip(columns, runs, strict=True)}
        return Texts(message_ids, values)

    async def _read(self, wanted: _Wanted) -> list[list[tuple[int, bytes]]]:
        store, clock = self._context.store, self._context.clock
        started = clock.monotonic()
        runs = await (store.read_bulk if self._is_cold else store.read)(wanted.read)
        self._is_cold = clock.monotonic() - started > COLD_S
        return runs
