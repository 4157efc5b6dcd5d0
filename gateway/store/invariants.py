"""What must be true of the rows at every commit. Checked by tests after each crash, and by the operator on demand."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import and_, case, func, or_, select

from gateway.store.flags import DELETED, SEEN
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.tables import accounts, mailboxes, messages, placements, tombstones
from gateway.store.transaction import Transaction

_RECOUNT = (
    select(
        placements.c.mailbox_id,
        func.count(),
        func.sum(case((placements.c.flags.op("&")(SEEN) == 0, 1), else_=0)),
        func.sum(case((placements.c.flags.op("&")(DELETED) != 0, 1), else_=0)),
        func.coalesce(func.sum(messages.c.size), 0),
        func.min(placements.c.uid),
        func.max(placements.c.uid),
        func.max(placements.c.modseq),
    )
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .group_by(placements.c.mailbox_id)
)
_MAILBOXES = select(
    mailboxes.c.id,
    mailboxes.c.uidvalidity,
    mailboxes.c.uidnext,
    mailboxes.c.recent_uid,
    mailboxes.c.highestmodseq,
    mailboxes.c.tombstone_floor,
    mailboxes.c.messages,
    mailboxes.c.unseen,
    mailboxes.c.deleted,
    mailboxes.c.octets,
).order_by(mailboxes.c.id)
_BURIED = select(tombstones.c.mailbox_id, func.max(tombstones.c.uid), func.max(tombstones.c.modseq)).group_by(
    tombstones.c.mailbox_id
)
_RISEN = (
    select(placements.c.mailbox_id, placements.c.uid)
    .join(
        tombstones,
        and_(tombstones.c.mailbox_id == placements.c.mailbox_id, tombstones.c.uid == placements.c.uid),
    )
    .limit(100)
)
_ESTRANGED = (
    select(placements.c.mailbox_id, placements.c.uid)
    .select_from(placements)
    .join(mailboxes, mailboxes.c.id == placements.c.mailbox_id)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(
        or_(
            messages.c.account_id != mailboxes.c.account_id,
            messages.c.scope_mailbox_id.not_in([0, mailboxes.c.id]),
        )
    )
    .limit(100)
)
_HOMELESS = (
    select(placements.c.mailbox_id, placements.c.uid)
    .select_from(placements.outerjoin(messages, messages.c.id == placements.c.message_id))
    .where(messages.c.id.is_(None))
    .limit(100)
)
_SHARED_IDS = (
    select(mailboxes.c.object_id)
    .join(accounts, accounts.c.id == mailboxes.c.account_id)
    .group_by(accounts.c.user_id, mailboxes.c.object_id)
    .having(func.count() > 1)
    .limit(100)
)
_threaded = messages.alias("threaded")
_CONFUSED_IDS = (
    select(messages.c.email_id)
    .join(
        _threaded,
        and_(_threaded.c.account_id == messages.c.account_id, _threaded.c.thread_id == messages.c.email_id),
    )
    .where(messages.c.email_id.is_not(None))
    .distinct()
    .limit(100)
)
_UNBOUND = (
    select(messages.c.id)
    .where(
        messages.c.kept_id.is_not(None),
        or_(messages.c.content_hash.is_(None), messages.c.size.is_(None), messages.c.size_is_exact == 0),
    )
    .limit(100)
)
_KEYWORDS = select(placements.c.keywords).distinct()


async def check(tx: Transaction) -> list[str]:
    """Return a sentence for each rule that is broken; an empty list if all is well. Reads every placement."""
    found: list[str] = []
    recount = {row[0]: row[1:] for row in await tx.rows(_RECOUNT)}
    buried = {row[0]: row[1:] for row in await tx.rows(_BURIED)}
    for row in await tx.rows(_MAILBOXES):
        found += _check_mailbox(row, recount.get(row[0]), buried.get(row[0]))
    for statement, complaint in (
        (_RISEN, "is both there and removed"),
        (_ESTRANGED, "holds a message of another account or mailbox"),
        (_HOMELESS, "holds a message that does not exist"),
    ):
        uids: dict[int, list[int]] = defaultdict(list)
        for mailbox_id, uid in await tx.rows(statement):
            uids[mailbox_id].append(uid)
        found += [f"mailbox {mailbox_id}: UID {uid} {complaint}" for mailbox_id in uids for uid in uids[mailbox_id]]
    found += [f"MAILBOXID {object_id} is shared" for (object_id,) in await tx.rows(_SHARED_IDS)]
    found += [f"{object_id} is both EMAILID and THREADID" for (object_id,) in await tx.rows(_CONFUSED_IDS)]
    found += [f"message {key} has kept octets of unknown hash or size" for (key,) in await tx.rows(_UNBOUND)]
    for (keywords,) in await tx.rows(_KEYWORDS):
        if keywords != " ".join(sorted(keywords.split())):
            found.append(f"keywords {keywords!r} are not in their order")
    return found


def _check_mailbox(row: tuple[int, ...], counted: tuple[int, ...] | None, buried: tuple[int, ...] | None) -> list[str]:
    mailbox_id, uidvalidity, uidnext, recent_uid, highestmodseq, floor = row[:6]
    counters = row[6:]
    found = []
    if not 0 < uidvalidity < 2**32:
        found.append(f"UIDVALIDITY {uidvalidity} is out of range")
    if not 0 < uidnext <= MAX_UIDNEXT:
        found.append(f"UIDNEXT {uidnext} is out of range")
    if recent_uid > uidnext:
        found.append(f"the first recent UID {recent_uid} is beyond UIDNEXT {uidnext}")
    if not 0 < floor <= highestmodseq < 2**63:
        found.append(f"HIGHESTMODSEQ {highestmodseq} and the floor {floor} of its tombstones do not fit")
    recounted = (0, 0, 0, 0) if counted is None else counted[:4]
    if tuple(counters) != tuple(recounted):
        found.append(f"counters say {tuple(counters)}, a recount {tuple(recounted)}")
    if counted is not None:
        lowest, highest, modseq = counted[4:]
        if lowest < 1 or highest >= uidnext:
            found.append(f"UIDs {lowest}..{highest} are not below UIDNEXT {uidnext}")
        if modseq > highestmodseq:
            found.append(f"mod-sequence {modseq} is above HIGHESTMODSEQ {highestmodseq}")
    if buried is not None and (buried[0] >= uidnext or buried[1] > highestmodseq):
        found.append(f"a tombstone has UID {buried[0]} or mod-sequence {buried[1]}, beyond what was given out")
    return [f"mailbox {mailbox_id}: {text}" for text in found]
