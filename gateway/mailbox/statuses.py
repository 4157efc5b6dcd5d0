"""What STATUS tells of mailboxes, from the counters in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.mailbox.namespace import MailboxStatus
from gateway.store import mailboxes, placements, totals
from gateway.store.database import Store, Transaction
from gateway.store.mailboxes import MailboxRow


async def read_statuses(
    store: Store, claimed: Mapping[int, int], limit_of: Callable[[int], int], *, needs_size: bool
) -> dict[int, MailboxStatus]:
    """Return the figures of the mailboxes by id, in one read; those that are gone are left out.

    `claimed` are the mailboxes, each with the UID below which no message is \\Recent for whoever comes next, as far as
    the store does not know that yet. `limit_of` gives the APPENDLIMIT of an account, in octets.
    """

    async def read(tx: Transaction) -> dict[int, tuple[MailboxRow, int, int]]:
        found = {}
        for mailbox_id, claimed_uid in claimed.items():
            row = await mailboxes.mailbox_by_id(tx, mailbox_id)
            if row is not None:
                recent = 0
                first = max(row.recent_uid, claimed_uid)
                if first < row.uidnext:
                    recent = await placements.count_from(tx, mailbox_id, first)
                found[mailbox_id] = (row, recent, 0)
        if needs_size and any(row.deleted for row, _, _ in found.values()):
            for mailbox_id, octets in (await totals.deleted_octets(tx, list(found))).items():
                row, recent, _ = found[mailbox_id]
                found[mailbox_id] = (row, recent, octets)
        return found

    # The counters of one mailbox are one row, and a thread would take much longer than reading that.
    rows = await (store.read(read) if len(claimed) == 1 and not needs_size else store.read_bulk(read))
    return {
        mailbox_id: MailboxStatus(
            messages=row.messages,
            recent=recent,
            uidnext=row.uidnext,
            uidvalidity=row.uidvalidity,
            unseen=row.unseen,
            deleted=row.deleted,
            size=row.octets,
            deleted_octets=octets,
            highestmodseq=row.highestmodseq,
            append_limit=limit_of(row.account_id),
            mailbox_id=row.object_id,
        )
        for mailbox_id, (row, recent, octets) in rows.items()
    }
