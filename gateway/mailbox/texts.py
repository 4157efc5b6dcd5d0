"""Texts of messages that follow one another, in the order of the columns, as they are kept ready or at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.mailbox.column_block import Column, Texts
from gateway.mailbox.columns import UNKNOWN
from gateway.store.database import Transaction
from gateway.store.disk_wait import DiskWait
from gateway.store.outline_runs import Outline, outline_run
from gateway.sync.small_bodies import BATCH_MESSAGES, BATCH_OCTETS, SMALL_OCTETS

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

Run = list[tuple[int, bytes]]

COLD_S = 0.01
"""A block takes less than a millisecond from a warm file."""

_NONE = Texts()
_OUTLINES: Mapping[Column, Outline] = {
    Column.ENVELOPE: Outline.ENVELOPE,
    Column.STRUCTURE: Outline.STRUCTURE,
    Column.HEADER: Outline.HEADER,
    Column.USUAL_HEADER: Outline.USUAL_HEADER,
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is read in one transaction."""

    mailbox_id: int
    first_uid: int
    last_uid: int
    columns: Sequence[Column]

    async def read(self, tx: Transaction) -> tuple[list[Run], bool]:
        """Return the runs, and whether the disk had to be waited for."""
        wait = DiskWait(COLD_S)
        runs = [
            await outline_run(tx, _OUTLINES[column], self.mailbox_id, self.first_uid, self.last_uid)
            for column in self.columns
        ]
        return runs, wait.is_long()


class TextReader:
    """Reads texts of one open mailbox.

    On the event loop, as long as the file is in memory: rows that a thread reads while the loop is busy are paid for
    with a turn of the interpreter's lock each. After a block that had to wait for the disk, the next is read in a
    thread.
    """

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._context = engine.context
        self._bodies = engine.bodies
        self._is_cold = False

    async def read(self, uids: Sequence[int], wanted: Collection[Column]) -> Texts | None:
        """Return those of the wanted columns that are texts, for UIDs that are ascending and not empty.

        With bodies, for as many of the first UIDs as make up one batch; for none of them if the first message is so
        large that it has to be streamed on its own. None if something is missing, or if the store has other messages
        between the first and the last.
        """
        outlines = [column for column in wanted if column in _OUTLINES]
        if Column.BODY not in wanted:
            return await self._read_outlines(uids, outlines)
        batch = self._batch(uids)
        if batch is None:
            return None
        if not batch:
            return Texts((), {Column.BODY: ()})
        bodies = await self._read_bodies(batch)
        if not bodies:
            return None
        message_ids = list(batch)[: len(bodies)]
        texts = await self._read_outlines(uids[: len(bodies)], outlines)
        if texts is None or (outlines and texts.message_ids != message_ids):
            return None
        return Texts(message_ids, {**texts.values, Column.BODY: bodies})

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _batch(self, uids: Sequence[int]) -> dict[int, int] | None:
        """Return size by id of the first of the messages, as many as follow one another and are light together.

        Empty if the first is large, None if it is gone or its size unknown.
        """
        columns = self._mailbox.columns
        start = columns.index(uids[0])
        batch: dict[int, int] = {}
        if start is None or columns.sizes[start] == UNKNOWN:
            return None
        octets = 0
        for place, uid in enumerate(uids[:BATCH_MESSAGES], start):
            if place >= len(columns) or columns.uids[place] != uid:
                break
            size = columns.sizes[place]
            octets += size
            if size == UNKNOWN or size > SMALL_OCTETS or (batch and octets > BATCH_OCTETS):
                break
            batch[columns.message_ids[place]] = size
        return batch

    async def _read_bodies(self, sizes: Mapping[int, int]) -> list[bytes]:
        """Return the bodies of the first of the messages, up to one that is not at hand or has another size."""
        found = await self._bodies.small.read(self._mailbox.row, list(sizes))
        bodies: list[bytes] = []
        for message_id, size in sizes.items():
            data = found.get(message_id)
            if data is None or len(data) != size:
                break
            bodies.append(data)
        return bodies

    # -- outlines -----------------------------------------------------------------------------------------------------

    async def _read_outlines(self, uids: Sequence[int], columns: Sequence[Column]) -> Texts | None:
        if not columns:
            return _NONE
        runs = await self._read(_Wanted(self._mailbox.id, uids[0], uids[-1], columns))
        if any(len(run) != len(uids) for run in runs):
            return None
        message_ids, *others = ([message_id for message_id, _ in run] for run in runs)
        if any(ids != message_ids for ids in others):
            return None
        values = {column: [text for _, text in run] for column, run in zip(columns, runs, strict=True)}
        return Texts(message_ids, values)

    async def _read(self, wanted: _Wanted) -> list[Run]:
        store = self._context.store
        runs, self._is_cold = await (store.read_bulk if self._is_cold else store.read)(wanted.read)
        return runs
