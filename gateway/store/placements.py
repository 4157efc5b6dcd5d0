"""Placements: which message is in which mailbox under which UID, with which flags.

Each function that changes something raises the mailbox's HIGHESTMODSEQ by one for the whole call and stamps what it
changed with it; a call that changes nothing raises nothing. The counters of the mailbox row are kept in the same
transaction and are always equal to a recount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, literal, select, update

from gateway.store.errors import StoreError, UidsExhausted
from gateway.store.flags import DELETED, SEEN
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.object_ids import parse_made_email_id
from gateway.store.statements import Row, is_in
from gateway.store.tables import accounts, mailboxes, messages, placements, tombstones
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

_RUNS_LIMIT = 16

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
# Without ORDER BY, which would make SQLite walk the whole mailbox by UID instead of the index on (mailbox, modseq).
_CHANGED = _FULL.order_by(None).where(placements.c.modseq > bindparam("modseq"))
_OF_UIDS = _FULL.where(is_in(placements.c.uid, "uids"))
_REFS: Select[Any] = (
    select(messages.c.ref, placements.c.uid, placements.c.message_id, placements.c.flags, placements.c.keywords)
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(_HERE)
    .order_by(placements.c.uid)
)
_TARGETS: Select[Any] = (
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
    .order_by(placements.c.uid)
)
_BY_UIDS = _TARGETS.where(_THESE)
_BY_RUN = _TARGETS.where(_HERE, placements.c.uid.between(bindparam("first_uid"), bindparam("last_uid")))
# Account and scope are named so that the refs are looked up in their unique index, not in the mailbox one by one.
_BY_REFS = _REFS.order_by(None).where(
    messages.c.account_id
    == select(mailboxes.c.account_id).where(mailboxes.c.id == bindparam("mailbox_id")).scalar_subquery(),
    messages.c.scope_mailbox_id == bindparam("scope_mailbox_id"),
    is_in(messages.c.ref, "refs"),
)
_OF_OBJECT = (
    select(placements.c.uid)
    .select_from(messages)
    .join(placements, and_(placements.c.message_id == messages.c.id, _HERE))
    .where(
        messages.c.account_id
        == select(mailboxes.c.account_id).where(mailboxes.c.id == bindparam("mailbox_id")).scalar_subquery()
    )
)
_BY_EMAIL_ID = _OF_OBJECT.where(messages.c.email_id == bindparam("object_id"))
_BY_THREAD_ID = _OF_OBJECT.where(messages.c.thread_id == bindparam("object_id"))
_BY_MADE_ID = (
    select(placements.c.uid)
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .join(accounts, accounts.c.id == messages.c.account_id)
    .where(
        _HERE,
        placements.c.message_id == bindparam("message_id"),
        messages.c.email_id.is_(None),
        accounts.c.object_tag == bindparam("tag"),
    )
)
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
_STATE = select(placements.c.uid, placements.c.flags, placements.c.keywords)
_STATES = _STATE.where(_THESE)
_RUN = and_(_HERE, placements.c.uid.between(bindparam("first_uid"), bindparam("last_uid")))
_STATES_OF_RUN = _STATE.where(_RUN).order_by(placements.c.uid)
_NEW_STATE: dict[str, Any] = {
    "flags": bindparam("new_flags"),
    "keywords": bindparam("new_keywords"),
    "modseq": bindparam("new_modseq"),
}
_SET_STATE = update(placements).where(_THESE).values(_NEW_STATE)
_SET_STATE_OF_RUN = update(placements).where(_RUN).values(_NEW_STATE)
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
_FIRST_UNSEEN = select(func.min(placements.c.uid)).where(_HERE, placements.c.flags.op("&")(SEEN) == literal(0))


async def load(tx: Transaction, mailbox_id: int) -> list[PlacementRow]:
    """Return every placement of the mailbox, by ascending UID. For big mailboxes use `load_range` in a bulk read."""
    return await tx.rows(_FULL, mailbox_id=mailbox_id)


async def load_range(tx: Transaction, mailbox_id: int, after_uid: int, limit: int) -> list[PlacementRow]:
    """Return the first `limit` placements with a UID above `after_uid`, ascending; fewer at the end."""
    return await tx.rows(_RANGE, mailbox_id=mailbox_id, after_uid=after_uid, limit=limit)


async def changed_since(tx: Transaction, mailbox_id: int, modseq: int) -> list[PlacementRow]:
    """Return the placements added or changed after `modseq`, by ascending UID."""
    return sorted(await tx.rows(_CHANGED, mailbox_id=mailbox_id, modseq=modseq))


async def of_uids(tx: Transaction, mailbox_id: int, uids: Iterable[int]) -> list[PlacementRow]:
    """Return the placements of those UIDs that exist, ascending."""
    return await tx.rows(_OF_UIDS, mailbox_id=mailbox_id, uids=list(uids))


async def by_uids(tx: Transaction, mailbox_id: int, uids: Sequence[int]) -> list[TargetRow]:
    """Return what a write needs to know of those UIDs that exist, ascending."""
    if len(uids) > 1 and _is_dense(uids):
        wanted, first, last = frozenset(uids), min(uids), max(uids)
        rows = await tx.rows(_BY_RUN, mailbox_id=mailbox_id, first_uid=first, last_uid=last)
        # Their number tells nothing: where one is gone, there may be one between that nobody has asked for.
        return rows if len(wanted) == last - first + 1 else [row for row in rows if row[0] in wanted]
    return await tx.rows(_BY_UIDS, mailbox_id=mailbox_id, uids=list(uids))


async def by_refs(tx: Transaction, mailbox_id: int, refs: Iterable[str]) -> list[RefRow]:
    """Return the mailbox's placements of those backend ids, by ascending UID."""
    wanted = list(refs)
    found: list[RefRow] = []
    for scope in (0, mailbox_id):
        found += await tx.rows(_BY_REFS, mailbox_id=mailbox_id, scope_mailbox_id=scope, refs=wanted)
    return sorted(found, key=lambda row: row[1])


async def refs_of(tx: Transaction, mailbox_id: int) -> list[RefRow]:
    """Return all placements of the mailbox with their backend ids, by ascending UID."""
    return await tx.rows(_REFS, mailbox_id=mailbox_id)


async def by_message_ids(tx: Transaction, message_ids: Iterable[int]) -> list[HolderRow]:
    """Return every placement of those messages, in whatever mailbox, by mailbox and UID."""
    return await tx.rows(_HOLDERS, ids=list(message_ids))


async def by_email_id(tx: Transaction, mailbox_id: int, email_id: str) -> list[int]:
    """Return the UIDs of the mailbox's messages with that EMAILID, in no order; copies share one."""
    uids = [uid for (uid,) in await tx.rows(_BY_EMAIL_ID, mailbox_id=mailbox_id, object_id=email_id)]
    made = parse_made_email_id(email_id)
    if made is not None:
        tag, message_id = made
        rows = await tx.rows(_BY_MADE_ID, mailbox_id=mailbox_id, message_id=message_id, tag=tag)
        uids += [uid for (uid,) in rows]
    return uids


async def by_thread_id(tx: Transaction, mailbox_id: int, thread_id: str) -> list[int]:
    """Return the UIDs of the mailbox's messages with that THREADID, in no order."""
    return [uid for (uid,) in await tx.rows(_BY_THREAD_ID, mailbox_id=mailbox_id, object_id=thread_id)]


async def first_unseen(tx: Transaction, mailbox_id: int) -> int | None:
    """Return the lowest UID without \\Seen."""
    uid: int | None = await tx.scalar(_FIRST_UNSEEN, mailbox_id=mailbox_id)
    return uid


async def _numbers(tx: Transaction, mailbox_id: int) -> tuple[int, int] | None:
    """Return (UIDNEXT, HIGHESTMODSEQ), None if there is no such mailbox."""
    row = await tx.row(_NUMBERS, mailbox_id=mailbox_id)
    return None if row is None else (row[0], row[1])


async def insert_placements(tx: Transaction, mailbox_id: int, new: Sequence[NewPlacement]) -> tuple[list[int], int]:
    """Place messages in a mailbox, and return their UIDs in the order given, and HIGHESTMODSEQ.

    A UID of None is allocated from UIDNEXT in that order. A UID that is given (by a backend whose UIDs pass through)
    is kept, and UIDNEXT raised above it.

    Raises:
        Conflict: a message is in the mailbox already, a UID is taken, or a message does not exist.
        UidsExhausted: no UID is left.
        StoreError: there is no such mailbox.
    """
    numbers = await _numbers(tx, mailbox_id)
    if numbers is None:
        raise StoreError(f"there is no mailbox {mailbox_id}")
    uidnext, modseq = numbers
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
    twice takes the later state. A mailbox that is not there has nothing to change, and 0 is returned.
    """
    numbers = await _numbers(tx, mailbox_id)
    if numbers is None:
        return 0
    uidnext, modseq = numbers
    wanted = {uid: (flags, keywords) for uid, flags, keywords in states}
    changes = _Changes()
    for uid, flags, keywords in await _states_around(tx, mailbox_id, wanted):
        changes.note(uid, (flags, keywords), wanted.get(uid))
    if not changes.uids:
        return modseq
    modseq += 1
    await changes.carry_out(tx, mailbox_id, modseq, is_dense=_is_dense(wanted))
    await tx.execute(
        _COUNT_UP,
        mailbox_id=mailbox_id,
        new_uidnext=uidnext,
        modseq=modseq,
        more_messages=0,
        more_unseen=changes.more_unseen,
        more_deleted=changes.more_deleted,
        more_octets=0,
    )
    return modseq


def _is_dense(uids: Collection[int]) -> bool:
    """Say whether reading everything between the lowest and the highest is no waste."""
    return bool(uids) and max(uids) - min(uids) < 2 * len(uids)


async def _states_around(tx: Transaction, mailbox_id: int, uids: Collection[int]) -> list[Row]:
    """Return (uid, flags, keywords) of the UIDs; if they lie dense, of all between the ends too, ascending."""
    if _is_dense(uids):
        return await tx.rows(_STATES_OF_RUN, mailbox_id=mailbox_id, first_uid=min(uids), last_uid=max(uids))
    return await tx.rows(_STATES, mailbox_id=mailbox_id, uids=list(uids))


_State = tuple[int, str]


class _Changes:
    """Which placements take which new state, as UIDs and as runs of neighbours: one UPDATE of a range costs a third
    less than one of a list, and STORE on `1:*` is the usual case."""

    def __init__(self) -> None:
        self.uids: dict[_State, list[int]] = defaultdict(list)
        self.more_unseen = 0
        self.more_deleted = 0
        self._runs: list[list[int]] = []
        self._states: list[_State] = []
        self._previous: _State | None = None

    def note(self, uid: int, old: _State, new: _State | None) -> None:
        """Take note of the next placement, in ascending order; None leaves it as it is."""
        if new is None or new == old:
            self._previous = None
            return
        self.uids[new].append(uid)
        self.more_unseen += bool(old[0] & SEEN) - bool(new[0] & SEEN)
        self.more_deleted += bool(new[0] & DELETED) - bool(old[0] & DELETED)
        if self._previous == new:
            self._runs[-1][1] = uid
        else:
            self._runs.append([uid, uid])
            self._states.append(new)
        self._previous = new

    async def carry_out(self, tx: Transaction, mailbox_id: int, modseq: int, *, is_dense: bool) -> None:
        """Write the new states. `is_dense`: everything that lies between two noted placements was noted too."""
        if is_dense and len(self._runs) <= _RUNS_LIMIT:
            for (first, last), (flags, keywords) in zip(self._runs, self._states, strict=True):
                await tx.execute(
                    _SET_STATE_OF_RUN,
                    mailbox_id=mailbox_id,
                    first_uid=first,
                    last_uid=last,
                    new_flags=flags,
                    new_keywords=keywords,
                    new_modseq=modseq,
                )
            return
        for (flags, keywords), uids in self.uids.items():
            await tx.execute(
                _SET_STATE,
                mailbox_id=mailbox_id,
                uids=uids,
                new_flags=flags,
                new_keywords=keywords,
                new_modseq=modseq,
            )


async def remove_placements(tx: Transaction, mailbox_id: int, uids: Iterable[int]) -> int:
    """Take messages out of a mailbox, leave a tombstone for each, and return HIGHESTMODSEQ.

    UIDs that are not there are passed over. The messages themselves stay (`messages.delete_messages`). A mailbox that
    is not there has nothing to remove, and 0 is returned.
    """
    numbers = await _numbers(tx, mailbox_id)
    if numbers is None:
        return 0
    uidnext, modseq = numbers
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
