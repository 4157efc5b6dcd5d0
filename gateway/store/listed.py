"""Placing many new messages at once, as a first listing does: one statement for the messages and one for their places.

SQLite carries a statement out without holding the interpreter, so a hundred thousand messages are stored beside the
event loop; a statement per row would take and give back the interpreter's lock a hundred thousand times.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import BigInteger, Select, bindparam, delete, insert, select, update

from gateway.store.errors import StoreError, UidsExhausted
from gateway.store.flags import DELETED, SEEN
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.statements import each_row, is_in
from gateway.store.tables import mailboxes, messages, placements, tombstones
from gateway.store.transaction import Transaction

ListedRow = tuple[
    str,  # ref
    int | None,  # uid, None to allocate one
    int,  # flags
    str,  # keywords
    int | None,  # internal date, unix seconds
    int | None,  # its zone, minutes east
    int | None,  # size, octets
    int,  # 1 if the size is exact
]

ROWS_PER_STATEMENT = 2000
"""Rows that are made into one parameter: that holds the interpreter for some milliseconds."""

_MAILBOX = bindparam("mailbox_id", type_=BigInteger())
_ROWS = each_row("listed")
_REF, _UID, _FLAGS, _KEYWORDS = _ROWS.text(0), _ROWS.integer(1), _ROWS.integer(2), _ROWS.text(3)
_DATE, _ZONE, _SIZE, _IS_EXACT = (_ROWS.integer(position) for position in range(4, 8))
_IN_SCOPE = (
    messages.c.account_id == bindparam("account_id"),
    messages.c.scope_mailbox_id == bindparam("scope_mailbox_id"),
)
_ANY_IN_SCOPE: Select[tuple[int]] = select(messages.c.id).where(*_IN_SCOPE).limit(1)
_ANY_KNOWN: Select[tuple[int]] = select(messages.c.id).where(*_IN_SCOPE, is_in(messages.c.ref, "refs")).limit(1)
_NUMBERS = select(mailboxes.c.uidnext, mailboxes.c.highestmodseq).where(mailboxes.c.id == _MAILBOX)
_INSERT_MESSAGES = insert(messages).from_select(
    [
        "account_id",
        "scope_mailbox_id",
        "ref",
        "internal_date",
        "internal_zone",
        "size",
        "size_is_exact",
    ],
    select(
        bindparam("account_id", type_=BigInteger()),
        bindparam("scope_mailbox_id", type_=BigInteger()),
        _REF,
        _DATE,
        _ZONE,
        _SIZE,
        _IS_EXACT,
    ).select_from(_ROWS.table),
)
_ID_OF_REF = select(messages.c.id).where(*_IN_SCOPE, messages.c.ref == _REF).scalar_subquery()
_INSERT_PLACEMENTS = insert(placements).from_select(
    ["mailbox_id", "uid", "message_id", "flags", "keywords", "modseq", "save_date"],
    select(
        _MAILBOX,
        _UID,
        _ID_OF_REF,
        _FLAGS,
        _KEYWORDS,
        bindparam("modseq", type_=BigInteger()),
        bindparam("save_date", type_=BigInteger()),
    ).select_from(_ROWS.table),
)
_ANY_TOMBSTONE = select(tombstones.c.uid).where(tombstones.c.mailbox_id == _MAILBOX).limit(1)
_CLEAR_TOMBSTONES = delete(tombstones).where(tombstones.c.mailbox_id == _MAILBOX, is_in(tombstones.c.uid, "uids"))
_COUNT_UP = (
    update(mailboxes)
    .where(mailboxes.c.id == _MAILBOX)
    .values(
        uidnext=bindparam("new_uidnext"),
        highestmodseq=bindparam("modseq"),
        messages=mailboxes.c.messages + bindparam("more_messages"),
        unseen=mailboxes.c.unseen + bindparam("more_unseen"),
        deleted=mailboxes.c.deleted + bindparam("more_deleted"),
        octets=mailboxes.c.octets + bindparam("more_octets"),
    )
)

_REFS_AFTER: Select[tuple[int, str]] = (
    select(placements.c.uid, messages.c.ref)
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(placements.c.mailbox_id == _MAILBOX, placements.c.uid > bindparam("after_uid"))
    .order_by(placements.c.uid)
    .limit(bindparam("limit"))
)


async def refs_after(tx: Transaction, mailbox_id: int, after_uid: int, limit: int) -> list[tuple[int, str]]:
    """Return (uid, ref) of the first `limit` placements with a UID above `after_uid`, ascending; fewer at the end."""
    return await tx.rows(_REFS_AFTER, mailbox_id=mailbox_id, after_uid=after_uid, limit=limit)


async def is_scope_empty(tx: Transaction, account_id: int, scope_mailbox_id: int) -> bool:
    """Tell whether no ref at all is known in the scope."""
    return await tx.row(_ANY_IN_SCOPE, account_id=account_id, scope_mailbox_id=scope_mailbox_id) is None


async def any_known(tx: Transaction, account_id: int, scope_mailbox_id: int, refs: Collection[str]) -> bool:
    """Tell whether any of the refs names a message already."""
    found = await tx.row(_ANY_KNOWN, account_id=account_id, scope_mailbox_id=scope_mailbox_id, refs=list(refs))
    return found is not None


async def insert_listed(
    tx: Transaction,
    account_id: int,
    scope_mailbox_id: int,
    mailbox_id: int,
    rows: Sequence[ListedRow],
    save_date: int,
) -> list[int]:
    """Add messages that are not known, see `any_known`, place them in a mailbox in the order given; return their UIDs.

    HIGHESTMODSEQ is raised by one for all of them, as `placements.insert_placements` does; so are counters and UIDNEXT.
    Nothing is said of EMAILID and THREADID.

    Raises:
        Conflict: a message is known after all, or a UID is taken.
        UidsExhausted: no UID is left.
        StoreError: there is no such mailbox.
    """
    numbers = await tx.row(_NUMBERS, mailbox_id=mailbox_id)
    if numbers is None:
        raise StoreError(f"there is no mailbox {mailbox_id}")
    uidnext, modseq = numbers
    modseq += 1
    uids: list[int] = []
    for row in rows:
        uid = row[1] if row[1] is not None else uidnext
        uidnext = max(uidnext, uid + 1)
        uids.append(uid)
    if uidnext > MAX_UIDNEXT:
        raise UidsExhausted(f"mailbox {mailbox_id} would need UID {uidnext - 1}")
    # What is allocated here nobody has had before.
    is_any_given = any(row[1] is not None for row in rows)
    if is_any_given and await tx.row(_ANY_TOMBSTONE, mailbox_id=mailbox_id) is not None:
        await tx.execute(_CLEAR_TOMBSTONES, mailbox_id=mailbox_id, uids=uids)
    scope = {"account_id": account_id, "scope_mailbox_id": scope_mailbox_id}
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        end = start + ROWS_PER_STATEMENT
        part = [(row[0], uid, *row[2:]) for row, uid in zip(rows[start:end], uids[start:end], strict=True)]
        # Not the standard library's: that takes seventeen times as long, and no thread runs meanwhile.
        listed = msgspec.json.encode(part).decode()
        await tx.execute(_INSERT_MESSAGES, listed=listed, **scope)
        await tx.execute(
            _INSERT_PLACEMENTS, listed=listed, mailbox_id=mailbox_id, modseq=modseq, save_date=save_date, **scope
        )
    await tx.execute(
        _COUNT_UP,
        mailbox_id=mailbox_id,
        new_uidnext=uidnext,
        modseq=modseq,
        more_messages=len(rows),
        more_unseen=sum(not row[2] & SEEN for row in rows),
        more_deleted=sum(bool(row[2] & DELETED) for row in rows),
        more_octets=sum(row[6] or 0 for row in rows),
    )
    return uids
