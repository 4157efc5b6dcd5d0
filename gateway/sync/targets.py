"""The messages a write is about, as the store has them when the write begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from connectors.api.types import MessageRef
from gateway.store import placements
from gateway.store.database import Store
from gateway.store.flags import FlagSet
from gateway.store.placements import TargetRow

READ_ROWS = 1000
"""Rows per query, so that other work on the loop is not held up."""

AT_ONCE_ROWS = 32
"""So few rows are read on the loop itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """One placement."""

    uid: int
    message_id: int
    ref: MessageRef
    flags: FlagSet
    modseq: int


async def read_targets(store: Store, mailbox_id: int, uids: Sequence[int]) -> list[Target]:
    """Return those of the UIDs that are in the mailbox, ascending."""
    targets: list[Target] = []
    async for block in target_rows(store, mailbox_id, sorted(uids)):
        for uid, message_id, ref, bits, keywords, modseq in block:
            targets.append(Target(uid, message_id, MessageRef(ref), FlagSet(bits, keywords), modseq))
    return targets


async def target_rows(store: Store, mailbox_id: int, uids: Sequence[int]) -> AsyncIterator[list[TargetRow]]:
    """Yield the rows of those of the UIDs, ascending, that are in the mailbox, in the same order."""
    if len(uids) <= AT_ONCE_ROWS:
        # The usual case, and a thread would take much longer than the reading itself.
        yield await store.read(lambda tx: placements.by_uids(tx, mailbox_id, list(uids)))
        return
    for start in range(0, len(uids), READ_ROWS):
        chunk = list(uids[start : start + READ_ROWS])
        yield await store.read_bulk(lambda tx, chunk=chunk: placements.by_uids(tx, mailbox_id, chunk))  # type: ignore[misc]
