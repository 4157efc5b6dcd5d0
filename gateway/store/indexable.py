"""Which messages there are for the search index, newest first."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, func, select

from gateway.store.statements import is_in
from gateway.store.tables import messages, placements
from gateway.store.transaction import Transaction

IndexableRow = tuple[int, int, str, int]
"""(uid, message id, ref, hydration)"""

_NEWEST = (
    select(placements.c.uid, placements.c.message_id, messages.c.ref, messages.c.hydration)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(
        placements.c.mailbox_id == bindparam("mailbox_id"),
        placements.c.uid > bindparam("above_uid"),
        placements.c.uid < bindparam("below_uid"),
    )
    .order_by(placements.c.uid.desc())
    .limit(bindparam("limit"))
)
_PLACED = (
    select(placements.c.mailbox_id, placements.c.uid, placements.c.message_id, messages.c.ref, messages.c.hydration)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(is_in(placements.c.message_id, "ids"))
)
_EXISTING = select(messages.c.id).where(is_in(messages.c.id, "ids"))
_LAST = select(func.max(messages.c.id))


async def newest(
    tx: Transaction, mailbox_id: int, limit: int, *, above_uid: int = 0, below_uid: int = 2**32
) -> list[IndexableRow]:
    """Return the messages of a mailbox with a UID between the two, newest first, at most `limit`."""
    return await tx.rows(_NEWEST, mailbox_id=mailbox_id, above_uid=above_uid, below_uid=below_uid, limit=limit)


async def placed(tx: Transaction, ids: Iterable[int]) -> dict[int, list[IndexableRow]]:
    """Return the messages by a mailbox that holds them, each once; those that are in none are left out."""
    found: dict[int, list[IndexableRow]] = {}
    seen: set[int] = set()
    for mailbox_id, *row in await tx.rows(_PLACED, ids=list(ids)):
        uid, message_id, ref, hydration = row
        if message_id not in seen:
            seen.add(message_id)
            found.setdefault(mailbox_id, []).append((uid, message_id, ref, hydration))
    return found


async def existing(tx: Transaction, ids: Iterable[int]) -> set[int]:
    """Return those of the messages that there still are."""
    return {row[0] for row in await tx.rows(_EXISTING, ids=list(ids))}


async def last_message_id(tx: Transaction) -> int:
    """Return the highest id of a message, 0 if there is none."""
    return int(await tx.scalar(_LAST) or 0)
