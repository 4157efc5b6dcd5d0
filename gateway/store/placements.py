"""Placements: which message is in which mailbox under which UID, with which flags.

Each function that changes something raises the mailbox's HIGHESTMODSEQ by one for the whole call and stamps what it
changed with it; a call that changes nothing raises nothing. The counters of the mailbox row are kept in the same
transaction and are always equal to a recount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, literal, select, update

from gateway.store.errors import StoreError, UidsExhausted
from gateway.store.flags import DELETED, SEEN
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.statements import is_in
from gateway.store.tables import mailboxes, messages, placements, tombstones
from gateway.store.transaction import Transaction

PlacementRow = tuple[
    int,  # uid
    int,  # message id
    int,  # flags
    str,  # keywords
    int,  # modseq
    int | None,  # internal date, unix seconds
    int | None,  # its zone, minutes east
    int | None,  # size, octets
    int,  # 1 if the size is exact
    int | None,  # save date, unix seconds
    int,  # hydration
]
RefRow = tuple[str, int, int, int, str]
"""(ref, uid, message id, flags, keywords)"""
TargetRow = tuple[int, int, str, int, str, int]
"""(uid, message id, ref, flags, keywords, modseq)"""
HolderRow = tuple[int, int, int, int, str]
"""(mailbox id, uid, message id, flags, keywords)"""
NewPlacement = tuple[int, int, str, int | None, int | None]
"""(message id, flags, keywords, uid or None to allocate one, save date or None)"""

_HERE = placements.c.mailbox_id == bindparam("mailbox_id")
_THESE = and_(_HERE, is_in(placements.c.uid, "uids"))
_FULL = (
    select(
        placements.c.uid,
        placements.c.message_id,
        placements.c.flags,
        placements.c.keywords,
        placements.c.modseq,
        messages.c.internal_date,
        messages.c.internal_zone,
        messages.c.size,
        messages.c.size_is_exact,
        placements.c.save_date,
        messages.c.hydration,
    )
    .join(messages, messages.c.id == placements.c.message_id)
    .where(_HERE)
    .order_by(placements.c.uid)
)
_RANGE = _FULL.where(placements.c.uid > bindparam("after_uid")).limit(bindparam("limit"))
_CHANGED = _FULL.where(placements.c.modseq > bindparam("modseq"))
_OF_UIDS = _FULL.where(is_in(placements.c.uid, "uids"))
_REFS: Select[Any] = (
    select(messages.c.ref, placements.c.uid, placements.c.message_id, placements.c.flags, placements.c.keywords)
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(_HERE)
    .order_by(placements.c.uid)
)
_BY_UIDS: Select[Any] = (
    select(
        placements.c.uid,
        placements.c.message_id,
        messages.c.ref,
        placements.c.flags,
        placements.c.keywords,
        placements.c.modseq,
    )
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(_THESE)
    .order_by(placements.c.uid)
)
_BY_REFS = _REFS.where(is_in(messages.c.ref, "refs"))
_HOLDERS = (
    select(
        placements.c.mailbox_id, placements.c.uid, placements.c.message_id, placements.c.flags, placements.c.keywords
    )
    .where(is_in(placements.c.message_id, "ids"))
    .order_by(placements.c.mailbox_id, placements.c.uid)
)
_NUMBERS = select(mailboxes.c.uidnext, mailboxes.c.highestmodseq).where(mailboxes.c.id == bindparam("mailbox_id"))
_OCTETS = select(func.coalesce(func.sum(messages.c.size), 0)).where(is_in(messages.c.id, "ids"))
_INSERT = insert(placements).values({column.name: bindparam(column.name) for column in placements.columns})
_CLEAR_TOMBSTONES = delete(tombstones).where(
    tombstones.c.mailbox_id == bindparam("mailbox_id"), is_in(tombstones.c.uid, "uids")
)
_COUNT_UP = (
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox_id"))
    .values(
        uidnext=bindparam("new_uidnext"),
        highestmodseq=bindparam("modseq"),
        messages=mailboxes.c.messages + bindparam("more_messages"),
        unseen=mailboxes.c.unseen + bindparam("more_unseen"),
        deleted=mailboxes.c.deleted + bindparam("more_deleted"),
        octets=mailboxes.c.octets + bindparam("more_octets"),
    )
)
_STATES = select(placements.c.uid, placements.c.flags, placements.c.keywords).where(_THESE)
_SET_STATE = (
    update(placements)
    .where(_THESE)
    .values(flags=bindparam("new_flags"), keywords=bindparam("new_keywords"), modseq=bindparam("new_modseq"))
)
_is_unseen = case((placements.c.flags.op("&")(SEEN) == 0, 1), else_=0)
_is_deleted = case((placements.c.flags.op("&")(DELETED) != 0, 1), else_=0)
_TOTALS = (
    select(
        func.count(),
        func.coalesce(func.sum(_is_unseen), 0),
        func.coalesce(func.sum(_is_deleted), 0),
        func.coalesce(func.sum(messages.c.size), 0),
    )
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(_THESE)
)
_BURY = insert(tombstones).from_select(
    ["mailbox_id", "uid", "modseq"],
    select(placements.c.mailbox_id, placements.c.uid, bindparam("modseq", type_=tombstones.c.modseq.type)).where(
        _THESE
    ),
)
_REMOVE = delete(placements).where(_THESE)
_COUNT_FROM = select(func.count()).where(_HERE, placements.c.uid >= bindparam("first_uid"))
_FIRST_UNSEEN = select(func.min(placements.c.uid)).where(_HERE, placements.c.flags.op("&")(SEEN) == literal(0))


async def load(tx: Transaction, mailbox_id: int) -> list[PlacementRow]:
    """Return every placement of the mailbox, by ascending UID. For big mailboxes use `load_range` in a bulk read."""
    return await tx.rows(_FULL, mailbox_id=mailbox_id)


async def load_range(tx: Transaction, mailbox_id: int, after_uid: int, limit: int) -> list[PlacementRow]:
    """Return the first `limit` placements with a UID above `after_uid`, ascending; fewer at the end."""
    return await tx.rows(_RANGE, mailbox_id=mailbox_id, after_uid=after_uid, limit=limit)


async def changed_since(tx: Transaction, mailbox_id: int, modseq: int) -> list[PlacementRow]:
    """Return the placements added or changed after `modseq`, by ascending UID."""
    return await tx.rows(_CHANGED, mailbox_id=mailbox_id, modseq=modseq)


async def of_uids(tx: Transaction, mailbox_id: int, uids: Iterable[int]) -> list[PlacementRow]:
    """Return the placements of those UIDs that exist, ascending."""
    return await tx.rows(_OF_UIDS, mailbox_id=mailbox_id, uids=list(uids))


async def by_uids(tx: Transaction, mailbox_id: int, uids: Iterable[int]) -> list[TargetRow]:
    """Return what a write needs to know of those UIDs that exist, ascending."""
    return await tx.rows(_BY_UIDS, mailbox_id=mailbox_id, uids=list(uids))


async def by_refs(tx: Transaction, mailbox_id: int, refs: Iterable[str]) -> list[RefRow]:
    """Return the mailbox's placements of those backend ids, by ascending UID."""
    return await tx.rows(_BY_REFS, mailbox_id=mailbox_id, refs=list(refs))


async def refs_of(tx: Transaction, mailbox_id: int) -> list[RefRow]:
    """Return all placements of the mailbox with their backend ids, by ascending UID."""
    return await tx.rows(_REFS, mailbox_id=mailbox_id)


async def by_message_ids(tx: Transaction, message_ids: Iterable[int]) -> list[HolderRow]:
    """Return every placement of those messages, in whatever mailbox, by mailbox and UID."""
    return await tx.rows(_HOLDERS, ids=list(message_ids))


async def count_from(tx: Transaction, mailbox_id: int, uid: int) -> int:
    """Return how many messages have at least this UID."""
    return int(await tx.scalar(_COUNT_FROM, mailbox_id=mailbox_id, first_uid=uid))


async def first_unseen(tx: Transaction, mailbox_id: int) -> int | None:
    """Return the lowest UID without \\Seen."""
    uid: int | None = await tx.scalar(_FIRST_UNSEEN, mailbox_id=mailbox_id)
    return uid


async def _numbers(tx: Transaction, mailbox_id: int) -> tuple[int, int]:
    """Return (UIDNEXT, HIGHESTMODSEQ)."""
    row = await tx.row(_NUMBERS, mailbox_id=mailbox_id)
    if row is None:
        raise StoreError(f"there is no mailbox {mailbox_id}")
    return row[0], row[1]


async def insert_placements(tx: Transaction, mailbox_id: int, new: Sequence[NewPlacement]) -> tuple[list[int], int]:
    """Place messages in a mailbox, and return their UIDs in the order given, and HIGHESTMODSEQ.

    A UID of None is allocated from UIDNEXT in that order. A UID that is given (by a backend whose UIDs pass through)
    is kept, and UIDNEXT raised above it.

    Raises:
        Conflict: a message is in the mailbox already, a UID is taken, or a message does not exist.
        UidsExhausted: no UID is left.
    """
    uidnext, modseq = await _numbers(tx, mailbox_id)
    if not new:
        return [], modseq
    modseq += 1
    uids: list[int] = []
    given: list[int] = []
    for placement in new:
        uid = placement[3]
        if uid is None:
            uid = uidnext
        else:
            given.append(uid)
        uidnext = max(uidnext, uid + 1)
        uids.append(uid)
    if uidnext > MAX_UIDNEXT:
        raise UidsExhausted(f"mailbox {mailbox_id} would need UID {uidnext - 1}")
    if given:
        await tx.execute(_CLEAR_TOMBSTONES, mailbox_id=mailbox_id, uids=given)
    await tx.execute_many(
        _INSERT,
        [
            {
                "mailbox_id": mailbox_id,
                "uid": uid,
                "message_id": message_id,
                "flags": flags,
                "keywords": keywords,
                "modseq": modseq,
                "save_date": save_date,
            }
            for uid, (message_id, flags, keywords, _, save_date) in zip(uids, new, strict=True)
        ],
    )
    await tx.execute(
        _COUNT_UP,
        mailbox_id=mailbox_id,
        new_uidnext=uidnext,
        modseq=modseq,
        more_messages=len(new),
        more_unseen=sum(not placement[1] & SEEN for placement in new),
        more_deleted=sum(bool(placement[1] & DELETED) for placement in new),
        more_octets=await tx.scalar(_OCTETS, ids=[placement[0] for placement in new]),
    )
    return uids, modseq


async def set_flags(tx: Transaction, mailbox_id: int, states: Iterable[tuple[int, int, str]]) -> int:
    """Give placements the flags that `(uid, flags, keywords)` say, and return HIGHESTMODSEQ.

    Only those whose flags differ are changed and stamped. UIDs that are not there are passed over. A UID that comes
    twice takes the later state.
    """
    uidnext, modseq = await _numbers(tx, mailbox_id)
    wanted = {uid: (flags, keywords) for uid, flags, keywords in states}
    by_state: dict[tuple[int, str], list[int]] = defaultdict(list)
    unseen = deleted = 0
    for uid, flags, keywords in await tx.rows(_STATES, mailbox_id=mailbox_id, uids=list(wanted)):
        state = wanted[uid]
        if state != (flags, keywords):
            by_state[state].append(uid)
            unseen += bool(flags & SEEN) - bool(state[0] & SEEN)
            deleted += bool(state[0] & DELETED) - bool(flags & DELETED)
    if not by_state:
        return modseq
    modseq += 1
    for (flags, keywords), uids in by_state.items():
        await tx.execute(
            _SET_STATE,
            mailbox_id=mailbox_id,
            uids=uids,
            new_flags=flags,
            new_keywords=keywords,
            new_modseq=modseq,
        )
    await tx.execute(
        _COUNT_UP,
        mailbox_id=mailbox_id,
        new_uidnext=uidnext,
        modseq=modseq,
        more_messages=0,
        more_unseen=unseen,
        more_deleted=deleted,
        more_octets=0,
    )
    return modseq


async def remove_placements(tx: Transaction, mailbox_id: int, uids: Iterable[int]) -> int:
    """Take messages out of a mailbox, leave a tombstone for each, and return HIGHESTMODSEQ.

    UIDs that are not there are passed over. The messages themselves stay (`messages.delete_messages`).
    """
    uidnext, modseq = await _numbers(tx, mailbox_id)
    wanted = list(uids)
    totals = await tx.row(_TOTALS, mailbox_id=mailbox_id, uids=wanted)
    if totals is None or not totals[0]:
        return modseq
    modseq += 1
    await tx.execute(_BURY, mailbox_id=mailbox_id, uids=wanted, modseq=modseq)
    await tx.execute(_REMOVE, mailbox_id=mailbox_id, uids=wanted)
    await tx.execute(
        _COUNT_UP,
        mailbox_id=mailbox_id,
        new_uidnext=uidnext,
        modseq=modseq,
        more_messages=-totals[0],
        more_unseen=-totals[1],
        more_deleted=-totals[2],
        more_octets=-totals[3],
    )
    return modseq
