"""Sums over the messages of mailboxes that no counter holds."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, literal, select

from gateway.store.flags import DELETED
from gateway.store.statements import is_in
from gateway.store.tables import messages, placements
from gateway.store.transaction import Transaction

_DELETED_OCTETS = (
    select(placements.c.mailbox_id, func.coalesce(func.sum(messages.c.size), 0))
    .join(messages, messages.c.id == placements.c.message_id)
    .where(is_in(placements.c.mailbox_id, "mailbox_ids"), placements.c.flags.op("&")(DELETED) != literal(0))
    .group_by(placements.c.mailbox_id)
)


async def deleted_octets(tx: Transaction, mailbox_ids: Sequence[int]) -> dict[int, int]:
    """Return the octets of the messages with \\Deleted, as far as sizes are known; none of mailboxes without any."""
    rows = await tx.rows(_DELETED_OCTETS, mailbox_ids=list(mailbox_ids))
    return {mailbox_id: int(octets) for mailbox_id, octets in rows}
