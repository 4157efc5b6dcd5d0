"""Changing the flags of many messages at once, where the caller has just read what they are.

Messages of one mailbox have few distinct sets of flags, so a change of any number of them is a few kinds of change,
each from one set to another. A kind that takes in every message of its old set in the range is one UPDATE of the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, select, update

from gateway.store.flags import DELETED, SEEN, FlagSet
from gateway.store.statements import is_in
from gateway.store.tables import mailboxes, placements
from gateway.store.transaction import Transaction

_SPARSE = 8
"""From this many placements in the range for each that is changed on, they are named one by one."""

_HERE = placements.c.mailbox_id == bindparam("mailbox_id")
_IN_RANGE = and_(_HERE, placements.c.uid.between(bindparam("first_uid"), bindparam("last_uid")))
_NEW_STATE: dict[str, Any] = {
    "flags": bindparam("new_flags"),
    "keywords": bindparam("new_keywords"),
    "modseq": bindparam("new_modseq"),
}
_KINDS = (
    select(placements.c.flags, placements.c.keywords, func.count())
    .where(_IN_RANGE)
    .group_by(placements.c.flags, placements.c.keywords)
)
_TURN_RANGE = (
    update(placements)
    .where(
        _IN_RANGE,
        placements.c.flags == bindparam("old_flags"),
        placements.c.keywords == bindparam("old_keywords"),
        # What an earlier statement of the same change has made is not changed again.
        placements.c.modseq < bindparam("new_modseq"),
    )
    .values(_NEW_STATE)
)
_TURN_THESE = update(placements).where(_HERE, is_in(placements.c.uid, "uids")).values(_NEW_STATE)
_COUNT = (
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox_id"))
    .values(
        highestmodseq=bindparam("modseq"),
        unseen=mailboxes.c.unseen + bindparam("more_unseen"),
        deleted=mailboxes.c.deleted + bindparam("more_deleted"),
    )
)


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Messages, by ascending UID, that have the flags `old` and are to have `new`, which differ."""

    old: FlagSet
    new: FlagSet
    uids: Sequence[int]


async def change_flags(tx: Transaction, mailbox_id: int, highestmodseq: int, changes: Sequence[FlagChange]) -> int:
    """Carry out changes of a mailbox that is at `highestmodseq`, and return what it is at afterwards.

    The caller has read the flags at that mod-sequence: all the messages are there, and as the changes say.
    """
    changes = [change for change in changes if change.uids]
    if not changes:
        return highestmodseq
    modseq = highestmodseq + 1
    first, last = min(change.uids[0] for change in changes), max(change.uids[-1] for change in changes)
    total = sum(len(change.uids) for change in changes)
    present: dict[FlagSet, int] = {}
    if last - first < _SPARSE * total:
        rows = await tx.rows(_KINDS, mailbox_id=mailbox_id, first_uid=first, last_uid=last)
        present = {FlagSet(flags, keywords): count for flags, keywords, count in rows}
    for change in changes:
        state = {"new_flags": change.new.bits, "new_keywords": change.new.keywords, "new_modseq": modseq}
        if present.get(change.old) == len(change.uids):
            old = {"old_flags": change.old.bits, "old_keywords": change.old.keywords}
            await tx.execute(_TURN_RANGE, mailbox_id=mailbox_id, first_uid=first, last_uid=last, **old, **state)
        else:
            await tx.execute(_TURN_THESE, mailbox_id=mailbox_id, uids=list(change.uids), **state)
    await tx.execute(
        _COUNT,
        mailbox_id=mailbox_id,
        modseq=modseq,
        more_unseen=sum(len(c.uids) * ((not c.new.bits & SEEN) - (not c.old.bits & SEEN)) for c in changes),
        more_deleted=sum(len(c.uids) * (bool(c.new.bits & DELETED) - bool(c.old.bits & DELETED)) for c in changes),
    )
    return modseq
