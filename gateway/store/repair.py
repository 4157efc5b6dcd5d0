"""Mending rows that break a rule (see `gateway.store.invariants`) without losing mail or giving a UID a second meaning.

What cannot be right any more is forgotten and looked for again at the backend: a mailbox whose cursor is taken away is
listed in full by the next sync, which finds every message and places what is missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from sqlalchemy import Delete, Table, and_, bindparam, delete, exists, insert, or_, select, update

from connectors.api.types import Role
from gateway.store import mailboxes as mailbox_rows
from gateway.store.accounts import AccountState
from gateway.store.flags import decode, encode
from gateway.store.invariants import Breach, Rule, is_readable_path, numbers_of_rows
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.object_ids import made_mailbox_id
from gateway.store.tables import (
    accounts,
    intents,
    mailboxes,
    messages,
    metadata,
    placements,
    subscribed_names,
    tombstones,
)
from gateway.store.transaction import Transaction

MENDS: Mapping[Rule, str] = MappingProxyType(
    {
        Rule.NUMBERS: "numbers are counted anew, and never lowered where clients were told of them",
        Rule.RISEN: "its removal is forgotten, and clients are told of it again",
        Rule.MISPLACED: "it is taken out of the mailbox, which is listed anew",
        Rule.SHARED_ID: "the younger mailboxes get a MAILBOXID of their own",
        Rule.UNBOUND: "hash and size are taken from the kept octets",
        Rule.KEYWORDS: "they are put in their order",
        Rule.UNREADABLE: "it is forgotten, and told by the backend again",
    }
)
"""What `mend` does about each rule; those that are not here it can do nothing about."""

LEAVES: Mapping[Rule, str] = MappingProxyType(
    {
        Rule.UID_MAP: "its UIDs cannot be trusted; --new-uidvalidity with --repair begins them anew",
        Rule.CONFUSED_ID: "it stays so; only clients that use OBJECTID can mistake one for the other",
        Rule.UNREADABLE: "remove the account and add it again",
    }
)
"""What the operator can do about the rest."""

_here = mailboxes.c.id == bindparam("mailbox_id")
_MAILBOX = select(
    mailboxes.c.uidnext, mailboxes.c.recent_uid, mailboxes.c.highestmodseq, mailboxes.c.tombstone_floor
).where(_here)
_SET_NUMBERS = (
    update(mailboxes)
    .where(_here)
    .values(
        {
            f"{name}": bindparam(f"new_{name}")
            for name in (
                "uidnext",
                "recent_uid",
                "highestmodseq",
                "tombstone_floor",
                "messages",
                "unseen",
                "deleted",
                "octets",
            )
        }
    )
)
_MAILBOX_IDS = select(mailboxes.c.id)
_BURIED_HERE = exists().where(tombstones.c.mailbox_id == placements.c.mailbox_id, tombstones.c.uid == placements.c.uid)
_RISEN = select(placements.c.mailbox_id, placements.c.uid).where(_BURIED_HERE)
_UNBURY = delete(tombstones).where(
    exists().where(placements.c.mailbox_id == tombstones.c.mailbox_id, placements.c.uid == tombstones.c.uid)
)
_STAMP = (
    update(placements)
    .where(placements.c.mailbox_id == bindparam("in_mailbox"), placements.c.uid == bindparam("this_uid"))
    .values(modseq=bindparam("new_modseq"))
)
_MISPLACED = (
    select(placements.c.mailbox_id, placements.c.uid)
    .select_from(
        placements.join(mailboxes, mailboxes.c.id == placements.c.mailbox_id).outerjoin(
            messages, messages.c.id == placements.c.message_id
        )
    )
    .where(
        or_(
            messages.c.id.is_(None),
            messages.c.account_id != mailboxes.c.account_id,
            and_(messages.c.scope_mailbox_id != 0, messages.c.scope_mailbox_id != mailboxes.c.id),
        )
    )
)
_REMOVE = delete(placements).where(
    placements.c.mailbox_id == bindparam("in_mailbox"), placements.c.uid == bindparam("this_uid")
)
_UNBURY_ONE = delete(tombstones).where(
    tombstones.c.mailbox_id == bindparam("in_mailbox"), tombstones.c.uid == bindparam("this_uid")
)
_BURY = insert(tombstones).values(
    mailbox_id=bindparam("in_mailbox"), uid=bindparam("this_uid"), modseq=bindparam("new_modseq")
)
_FORGET_CURSOR = update(mailboxes).where(_here).values(cursor=None)
_FORGET_ACCOUNT_CURSOR = (
    update(accounts)
    .where(
        accounts.c.id
        == select(mailboxes.c.account_id).where(mailboxes.c.id == bindparam("of_mailbox")).scalar_subquery()
    )
    .values(cursor=None)
)
_KEYWORDS = select(placements.c.keywords).distinct()
_SPELL_KEYWORDS = (
    update(placements).where(placements.c.keywords == bindparam("old")).values(keywords=bindparam("new_keywords"))
)
_OBJECT_IDS = (
    select(accounts.c.user_id, mailboxes.c.object_id, mailboxes.c.id)
    .join(accounts, accounts.c.id == mailboxes.c.account_id)
    .order_by(mailboxes.c.id)
)
_SET_OBJECT_ID = update(mailboxes).where(_here).values(object_id=bindparam("new_object_id"))
_NAMES = select(mailboxes.c.id, mailboxes.c.ref, mailboxes.c.path, mailboxes.c.role)
_SET_PATH = update(mailboxes).where(_here).values(path=bindparam("new_path"))
_DROP_ROLES = update(mailboxes).where(*(mailboxes.c.role != role.value for role in Role)).values(role=None)
_RENEW_STATES = (
    update(accounts)
    .where(*(accounts.c.state != state.value for state in AccountState))
    .values(state=AccountState.NEW.value)
)
_DROP_INTENT = delete(intents).where(intents.c.id == bindparam("intent_id"))
_SUBSCRIBED = select(subscribed_names.c.path).distinct()
_UNSUBSCRIBE = delete(subscribed_names).where(subscribed_names.c.path == bindparam("unreadable"))
_SET_CONTENT = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(content_hash=bindparam("new_hash"), size=bindparam("new_size"), size_is_exact=1)
)


def is_mendable(breach: Breach) -> bool:
    """Tell whether `mend` can do something about a breach. What an operator has given, only he can give again."""
    return breach.rule in MENDS and not (breach.rule is Rule.UNREADABLE and breach.table == accounts.name)


def _dangling_of(table: Table) -> list[Delete]:
    """Return statements that drop the rows of a table whose owner does not exist."""
    found = []
    for key in table.foreign_keys:
        owner = key.column.table
        # A placement without its message is a UID that clients were told of: see `_take_out_misplaced`.
        if (table, owner) != (placements, messages):
            found.append(delete(table).where(~exists().where(key.column == key.parent)))
    return found


_DROP_DANGLING = tuple(statement for table in metadata.sorted_tables for statement in _dangling_of(table))
"""Owners before what they own, so that what lost its owner takes along what it owned."""


async def drop_dangling(tx: Transaction) -> int:
    """Drop rows of which the owner does not exist; return how many went."""
    return sum([await tx.execute(statement) for statement in _DROP_DANGLING])


async def mend(tx: Transaction, breaches: Collection[Breach], *, may_renumber: bool = False) -> None:
    """Mend what can be mended of these breaches.

    With `may_renumber`, mailboxes whose UIDs cannot be trusted begin anew with a new UIDVALIDITY: clients fetch them
    again, and flags that only we hold are lost.
    """
    rules = {breach.rule for breach in breaches}
    touched = {breach.mailbox_id for breach in breaches if breach.rule is Rule.NUMBERS and breach.mailbox_id}
    if Rule.UNREADABLE in rules:
        await _forget_unreadable(tx, breaches)
    if Rule.KEYWORDS in rules:
        await _order_keywords(tx)
    if Rule.SHARED_ID in rules:
        await _part_object_ids(tx)
    if Rule.RISEN in rules:
        touched |= await _let_rise(tx)
    if Rule.MISPLACED in rules:
        touched |= await _take_out_misplaced(tx)
    if may_renumber:
        for mailbox_id in {breach.mailbox_id for breach in breaches if breach.rule is Rule.UID_MAP}:
            assert mailbox_id is not None
            await mailbox_rows.reset_mailbox(tx, mailbox_id)
            await tx.execute(_FORGET_ACCOUNT_CURSOR, of_mailbox=mailbox_id)
            touched.add(mailbox_id)
    await _count_anew(tx, touched)


async def bind_kept(tx: Transaction, message_id: int, content_hash: bytes, size: int) -> None:
    """Record what the kept octets of a message are; the mailboxes' counters are to be counted anew after that."""
    await tx.execute(_SET_CONTENT, message_id=message_id, new_hash=content_hash, new_size=size)


async def count_anew(tx: Transaction) -> None:
    """Count the rows of every mailbox anew."""
    await _count_anew(tx, {row[0] for row in await tx.rows(_MAILBOX_IDS)})


async def _count_anew(tx: Transaction, mailbox_ids: Iterable[int]) -> None:
    counted, buried = await numbers_of_rows(tx)
    for mailbox_id in sorted(mailbox_ids):
        row = await tx.row(_MAILBOX, mailbox_id=mailbox_id)
        if row is None:
            continue
        uidnext, recent_uid, highest, floor = row
        count = counted.get(mailbox_id, (0, 0, 0, 0, 0, 0, 0))
        top_uid, modseq = buried.get(mailbox_id, (0, 0))
        # Never lower than what clients may have been told.
        wanted = max(uidnext, count[5] + 1, top_uid + 1, 1)
        uidnext = wanted if wanted <= MAX_UIDNEXT else uidnext
        highest = max(highest, floor, count[6], modseq, 1)
        await tx.execute(
            _SET_NUMBERS,
            mailbox_id=mailbox_id,
            new_uidnext=uidnext,
            new_recent_uid=min(recent_uid, uidnext),
            new_highestmodseq=highest,
            # What was removed before is not known if the floor is not: clients are then told of all that is missing.
            new_tombstone_floor=floor if floor > 0 else highest,
            new_messages=count[0],
            new_unseen=count[1],
            new_deleted=count[2],
            new_octets=count[3],
        )


async def _next_modseq(tx: Transaction, mailbox_id: int) -> int:
    row = await tx.row(_MAILBOX, mailbox_id=mailbox_id)
    assert row is not None
    return int(max(row[2], row[3])) + 1


async def _let_rise(tx: Transaction) -> set[int]:
    """Let what is there be there. Who was told of the removal learns of the message as of one that has changed."""
    uids = _by_mailbox(await tx.rows(_RISEN))
    for mailbox_id, risen in uids.items():
        modseq = await _next_modseq(tx, mailbox_id)
        await tx.execute_many(
            _STAMP, [{"in_mailbox": mailbox_id, "this_uid": uid, "new_modseq": modseq} for uid in risen]
        )
    await tx.execute(_UNBURY)
    return set(uids)


async def _take_out_misplaced(tx: Transaction) -> set[int]:
    """Take out UIDs whose message is not known; the next listing places it, under its UID if that is the backend's."""
    uids = _by_mailbox(await tx.rows(_MISPLACED))
    for mailbox_id, lost in uids.items():
        modseq = await _next_modseq(tx, mailbox_id)
        keys = [{"in_mailbox": mailbox_id, "this_uid": uid} for uid in lost]
        await tx.execute_many(_REMOVE, keys)
        await tx.execute_many(_UNBURY_ONE, keys)
        await tx.execute_many(_BURY, [{**key, "new_modseq": modseq} for key in keys])
        await tx.execute(_FORGET_CURSOR, mailbox_id=mailbox_id)
        await tx.execute(_FORGET_ACCOUNT_CURSOR, of_mailbox=mailbox_id)
    return set(uids)


def _by_mailbox(rows: Iterable[tuple[int, ...]]) -> dict[int, list[int]]:
    uids: dict[int, list[int]] = defaultdict(list)
    for mailbox_id, uid in rows:
        uids[mailbox_id].append(uid)
    return uids


async def _order_keywords(tx: Transaction) -> None:
    for (keywords,) in await tx.rows(_KEYWORDS):
        _, ordered = encode(decode(0, keywords))
        if ordered != keywords:
            await tx.execute(_SPELL_KEYWORDS, old=keywords, new_keywords=ordered)


async def _part_object_ids(tx: Transaction) -> None:
    taken: set[tuple[int, str]] = set()
    for user_id, object_id, mailbox_id in await tx.rows(_OBJECT_IDS):
        if (user_id, object_id) in taken:
            await tx.execute(_SET_OBJECT_ID, mailbox_id=mailbox_id, new_object_id=made_mailbox_id())
        taken.add((user_id, object_id))


async def _forget_unreadable(tx: Transaction, breaches: Iterable[Breach]) -> None:
    for mailbox_id, ref, path, _ in await tx.rows(_NAMES):
        if not is_readable_path(path):
            # Until the next listing of mailboxes tells the name.
            await tx.execute(_SET_PATH, mailbox_id=mailbox_id, new_path=json.dumps([ref]))
    await tx.execute(_DROP_ROLES)
    await tx.execute(_RENEW_STATES)
    for breach in breaches:
        if breach.rule is Rule.UNREADABLE and breach.table == intents.name:
            await tx.execute(_DROP_INTENT, intent_id=breach.row_id)
    for (path,) in await tx.rows(_SUBSCRIBED):
        if not is_readable_path(path):
            await tx.execute(_UNSUBSCRIBE, unreadable=path)
