"""What STATUS tells of mailboxes, from the counters in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.mailbox.namespace import MailboxStatus
from gateway.store import totals
from gateway.store.counters import Counters, counters_of, counts_from
from gateway.store.database import Store, Transaction

_ROWS_PER_READ = 512
"""What is read at once on the event loop: for 0.7 ms."""


async def read_statuses(
    store: Store,
    claimed: Mapping[int, int],
    limit_of: Callable[[int], int],
    *,
    needs_size: bool,
    needs_recent: bool = True,
) -> dict[int, MailboxStatus]:
    """Return the figures of the mailboxes by id, in one read; those that are gone are left out.

    `claimed` are the mailboxes, each with the UID below which no message is \\Recent for whoever comes next, as far as
    the store does not know that yet. `limit_of` gives the APPENDLIMIT of an account, in octets. What is not needed is
    not counted, and 0.
    """

    async def read(tx: Transaction) -> tuple[Mapping[int, Counters], Mapping[int, int], Mapping[int, int]]:
        rows = await counters_of(tx, list(claimed))
        recent: Mapping[int, int] = {}
        if needs_recent:
            firsts = {key: max(row.recent_uid, claimed[key]) for key, row in rows.items()}
            recent = await counts_from(tx, {key: first for key, first in firsts.items() if first < rows[key].uidnext})
        octets: Mapping[int, int] = {}
        if needs_size and any(row.deleted for row in rows.values()):
            octets = await totals.deleted_octets(tx, list(rows))
        return rows, recent, octets

    # The counters of one mailbox are one row, and a thread would take much longer than reading that.
    is_small = len(claimed) == 1 and not needs_size
    rows, recent, octets = await (store.read(read) if is_small else store.read_bulk(read))
    return {
        key: _status_of(row, limit_of(row.account_id), recent.get(key, 0), octets.get(key, 0))
        for key, row in rows.items()
    }


async def read_counters(store: Store, mailbox_ids: Sequence[int]) -> dict[int, Counters]:
    """Return the counters of the mailboxes by id as they are now; those that are gone are left out."""
    found: dict[int, Counters] = {}
    for start in range(0, len(mailbox_ids), _ROWS_PER_READ):
        if start:
            # Of many the others on the loop have their turns in between.
            await asyncio.sleep(0)
        found |= await store.read(partial(counters_of, mailbox_ids=mailbox_ids[start : start + _ROWS_PER_READ]))
    return found


def _status_of(row: Counters, append_limit: int, recent: int, deleted_octets: int) -> MailboxStatus:
    return MailboxStatus(
        messages=row.messages,
        recent=recent,
        uidnext=row.uidnext,
        uidvalidity=row.uidvalidity,
        unseen=row.unseen,
        deleted=row.deleted,
        size=row.octets,
        deleted_octets=deleted_octets,
        highestmodseq=row.highestmodseq,
        append_limit=append_limit,
        mailbox_id=row.object_id,
    )
