"""What was removed from a mailbox, so that a client that was away can be told (RFC 7162, VANISHED (EARLIER))."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select, update

from gateway.store.tables import mailboxes, tombstones
from gateway.store.transaction import Transaction

_HERE = tombstones.c.mailbox_id == bindparam("mailbox_id")
# Sorted afterwards: ORDER BY uid would make SQLite walk all tombstones instead of the index on (mailbox, modseq).
_SINCE = select(tombstones.c.uid).where(_HERE, tombstones.c.modseq > bindparam("modseq"))
_COUNT = select(func.count()).select_from(tombstones).where(_HERE)
_OVERFULL = (
    select(tombstones.c.mailbox_id)
    .join(mailboxes, mailboxes.c.id == tombstones.c.mailbox_id)
    .where(mailboxes.c.account_id == bindparam("account_id"))
    .group_by(tombstones.c.mailbox_id)
    .having(func.count() > bindparam("keep"))
)
_FLOOR = select(mailboxes.c.tombstone_floor).where(mailboxes.c.id == bindparam("mailbox_id"))
_NTH_NEWEST = (
    select(tombstones.c.modseq).where(_HERE).order_by(tombstones.c.modseq.desc()).limit(1).offset(bindparam("skip"))
)
_PRUNE = delete(tombstones).where(_HERE, tombstones.c.modseq <= bindparam("modseq"))
_RAISE_FLOOR = (
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox_id"), mailboxes.c.tombstone_floor < bindparam("modseq"))
    .values(tombstone_floor=bindparam("modseq"))
)


async def since(tx: Transaction, mailbox_id: int, modseq: int) -> list[int]:
    """Return the UIDs removed after `modseq`, ascending. Complete only if `modseq` is at least `floor`."""
    return sorted(row[0] for row in await tx.rows(_SINCE, mailbox_id=mailbox_id, modseq=modseq))


async def floor(tx: Transaction, mailbox_id: int) -> int:
    """Return the mod-sequence after which every removal is known; 0 if there is no such mailbox."""
    return int(await tx.scalar(_FLOOR, mailbox_id=mailbox_id) or 0)


async def count(tx: Transaction, mailbox_id: int) -> int:
    """Return how many tombstones the mailbox has."""
    return int(await tx.scalar(_COUNT, mailbox_id=mailbox_id))


async def overfull(tx: Transaction, account_id: int, keep: int) -> list[int]:
    """Return those mailboxes of the account that have more than `keep` tombstones."""
    return [row[0] for row in await tx.rows(_OVERFULL, account_id=account_id, keep=keep)]


async def prune(tx: Transaction, mailbox_id: int, keep: int) -> int:
    """Drop the oldest tombstones so that at most `keep` remain, raise the floor, and return how many went.

    Removals of one mod-sequence go together, so fewer than `keep` may remain.
    """
    modseq = await tx.scalar(_NTH_NEWEST, mailbox_id=mailbox_id, skip=keep)
    if modseq is None:
        return 0
    removed = await tx.execute(_PRUNE, mailbox_id=mailbox_id, modseq=modseq)
    await tx.execute(_RAISE_FLOOR, mailbox_id=mailbox_id, modseq=modseq)
    return removed
