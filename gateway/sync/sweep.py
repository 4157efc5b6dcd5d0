"""Forgetting what nothing points to any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.store import contents, messages, tombstones
from gateway.store.errors import StoreError
from gateway.sync.context import AccountContext

log = logging.getLogger(__name__)

SWEEP_INTERVAL_S = 6 * 3600.0
"""How often what nothing points to any more is forgotten."""

KEPT_TOMBSTONES = 50_000
"""Expunged UIDs remembered per mailbox; a client that was away for longer is told of all that is missing."""

SWEEP_ROWS = 500
"""Messages forgotten per transaction."""


async def sweep(context: AccountContext, may_forget: Callable[[], bool]) -> None:
    """Forget messages that are in no mailbox, and old tombstones.

    `may_forget` says whether no session can hold a message in its view that was expunged behind its back. A message
    whose octets are kept here is forgotten only by the second sweep that finds it in no mailbox: a backend may tell
    that it has left one mailbox long before it tells that it has come to another, and its octets would be lost.
    A store that cannot be written is left as it is: the next sweep does what this one could not.
    """
    try:
        await _sweep(context, may_forget)
    except StoreError as error:
        log.error("account %s: nothing can be forgotten: %s", context.account.name, error.operator_text)


async def _sweep(context: AccountContext, may_forget: Callable[[], bool]) -> None:
    last, spared = 0, set[int]()
    while may_forget() and (orphans := await _orphans(context, last)):
        last = orphans[-1]
        kept = await context.store.read_bulk(lambda tx, ids=orphans: contents.with_kept(tx, ids))  # type: ignore[misc]
        kept -= context.spared
        spared |= kept
        forgotten = [message_id for message_id in orphans if message_id not in kept]
        await context.store.write(lambda tx, ids=forgotten: messages.delete_messages(tx, ids))  # type: ignore[misc]
    context.spared = spared
    await _free_kept(context)
    for mailbox_id in await context.store.read_bulk(
        lambda tx: tombstones.overfull(tx, context.account_id, KEPT_TOMBSTONES)
    ):
        await context.store.write(
            lambda tx, key=mailbox_id: tombstones.prune(tx, key, KEPT_TOMBSTONES)  # type: ignore[misc]
        )


async def _orphans(context: AccountContext, after_id: int) -> list[int]:
    account_id = context.account_id
    return await context.store.read_bulk(lambda tx: messages.orphaned_messages(tx, account_id, SWEEP_ROWS, after_id))


async def _free_kept(context: AccountContext) -> None:
    """Remove octets that were kept for messages that are gone."""
    kept, account_id = context.cache.kept, context.account_id
    # First what there is: whatever is kept later has its intent by then, and is not looked at.
    there = kept.ids(account_id)
    if there:
        in_use = await context.store.read_bulk(lambda tx: contents.kept_in_use(tx, account_id))
        await asyncio.to_thread(kept.drop_unused, account_id, there, in_use)
