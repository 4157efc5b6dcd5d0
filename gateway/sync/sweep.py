"""Forgetting what nothing points to any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.store import contents, messages, tombstones
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext

KEPT_TOMBSTONES = 50_000
"""Expunged UIDs remembered per mailbox; a client that was away for longer is told of all that is missing."""

SWEEP_ROWS = 500
"""Messages forgotten per transaction."""


async def sweep(context: AccountContext, rows: Sequence[MailboxRow], may_forget: Callable[[], bool]) -> None:
    """Forget messages that are in no mailbox, and old tombstones.

    `may_forget` says whether no session can hold a message in its view that was expunged behind its back.
    """
    account_id, store = context.account_id, context.store
    while may_forget():
        orphans = await store.read_bulk(lambda tx: messages.orphaned_messages(tx, account_id, SWEEP_ROWS))
        if not orphans or not await store.write(
            lambda tx, ids=orphans: messages.delete_messages(tx, ids)  # type: ignore[misc]
        ):
            break
    await _free_kept(context)
    for row in rows:
        await store.write(lambda tx, key=row.id: tombstones.prune(tx, key, KEPT_TOMBSTONES))  # type: ignore[misc]


async def _free_kept(context: AccountContext) -> None:
    """Remove octets that were kept for messages that are gone."""
    kept, account_id = context.cache.kept, context.account_id
    # First what there is: whatever is kept later has its intent by then, and is not looked at.
    there = kept.ids(account_id)
    if there:
        in_use = await context.store.read_bulk(lambda tx: contents.kept_in_use(tx, account_id))
        await asyncio.to_thread(kept.drop_unused, account_id, there, in_use)
