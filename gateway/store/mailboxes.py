"""Mailboxes: what the backend says of them, and the numbers IMAP promises about them.

Uniqueness of UIDVALIDITY: each value given out by this store is larger than every one before and at least the time in
seconds, so a name that is re-created never gets an old value (RFC 9051 section 2.3.1.1).

Mod-sequences of a mailbox begin at `seconds << 16`. A store that was lost and is built anew under the same UIDVALIDITY
(a backend whose own UIDs pass through) then begins above whatever it gave out before, as long as that was fewer than
65,536 changes a second; afterwards they are a plain counter. They stay below 2^63 (RFC 7162 section 7).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import bindparam, case, delete, exists, insert, select, update

from connectors.api.types import Role
from gateway.store.errors import UidsExhausted
from gateway.store.object_ids import Kind, made_mailbox_id, naming_of
from gateway.store.statements import Row, upsert
from gateway.store.tables import mailboxes, messages, meta, placements, tombstones
from gateway.store.transaction import Transaction

MAX_UIDNEXT = 2**32 - 1
"""UIDNEXT has 32 bits like every UID (RFC 9051 section 9, `nz-number`), so the last UID given out is one less."""
_MODSEQ_SHIFT = 16
_ROWS_KEPT = 2048
"""So many rows are not taken apart again while they stay as they are: each SELECT and STATUS reads one."""


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox.

    `path` holds the components of its name. `storable_flags` are those the backend keeps, in IMAP spelling.
    `messages`, `unseen`, `deleted` and `octets` (sum of the known sizes) count its placements.
    `recent_uid` is the first UID that no session was told of as \\Recent.
    `tombstone_floor`: what was removed is completely known for mod-sequences above it.
    `is_listed`: a full listing has been applied; `synced_at`: when the cursor last moved, unix seconds.
    `object_id` is the MAILBOXID of RFC 8474 as it is told.
    """

    id: int
    account_id: int
    ref: str
    path: tuple[str, ...]
    role: Role | None
    is_selectable: bool
    allows_children: bool
    is_read_only: bool
    is_subscribed: bool
    storable_flags: frozenset[str]
    any_keyword: bool
    uidvalidity: int
    uidnext: int
    recent_uid: int
    highestmodseq: int
    tombstone_floor: int
    messages: int
    unseen: int
    deleted: int
    octets: int
    cursor: str | None
    is_listed: bool
    synced_at: int | None
    object_id: str


class MailboxChanges(TypedDict, total=False):
    """The columns that a new listing of mailboxes, a RENAME or a SUBSCRIBE can change."""

    ref: str
    path: tuple[str, ...]
    role: Role | None
    is_selectable: bool
    allows_children: bool
    is_read_only: bool
    is_subscribed: bool
    storable_flags: Iterable[str]
    any_keyword: bool


_FIELDS = tuple(MailboxRow.__dataclass_fields__)
_COLUMNS = tuple(mailboxes.c[name] for name in _FIELDS)
_BOOLEANS = tuple(
    _FIELDS.index(name)
    for name in ("is_selectable", "allows_children", "is_read_only", "is_subscribed", "any_keyword", "is_listed")
)
_PATH, _ROLE, _STORABLE = (_FIELDS.index(name) for name in ("path", "role", "storable_flags"))
_IS_IT = mailboxes.c.id == bindparam("mailbox_id")
_OF_ACCOUNT = select(*_COLUMNS).where(mailboxes.c.account_id == bindparam("account_id")).order_by(mailboxes.c.id)
_BY_ID = select(*_COLUMNS).where(_IS_IT)
_BY_REF = select(*_COLUMNS).where(
    mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.ref == bindparam("ref")
)
_WITH_OBJECT_ID = select(mailboxes.c.id).where(
    mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.object_id == bindparam("object_id")
)
_INSERTED = (
    "account_id",
    "ref",
    "path",
    "role",
    "is_selectable",
    "allows_children",
    "is_read_only",
    "is_subscribed",
    "storable_flags",
    "any_keyword",
    "uidvalidity",
    "uidnext",
    "recent_uid",
    "highestmodseq",
    "tombstone_floor",
    "object_id",
)
_INSERT = insert(mailboxes).values({name: bindparam(name) for name in _INSERTED}).returning(mailboxes.c.id)
_CHANGE = {
    name: update(mailboxes).where(_IS_IT).values({name: bindparam("value")}).returning(mailboxes.c.account_id)
    for name in MailboxChanges.__annotations__
}
_SET_CURSOR = (
    update(mailboxes)
    .where(_IS_IT)
    .values(cursor=bindparam("new_cursor"), is_listed=bindparam("listed"), synced_at=bindparam("now"))
)
_CLAIM_RECENT = update(mailboxes).where(_IS_IT).values(recent_uid=mailboxes.c.uidnext)
_RAISE_UIDNEXT = (
    update(mailboxes).where(_IS_IT, mailboxes.c.uidnext < bindparam("at_least")).values(uidnext=bindparam("at_least"))
)
_RESET = (
    update(mailboxes)
    .where(_IS_IT)
    .values(
        uidvalidity=bindparam("new_uidvalidity"),
        uidnext=bindparam("new_uidnext"),
        recent_uid=bindparam("new_uidnext"),
        highestmodseq=mailboxes.c.highestmodseq + 1,
        tombstone_floor=mailboxes.c.highestmodseq + 1,
        messages=0,
        unseen=0,
        deleted=0,
        octets=0,
        cursor=None,
        is_listed=0,
        object_id=bindparam("new_object_id"),
    )
)
_DELETE = delete(mailboxes).where(_IS_IT)
_DELETE_PLACEMENTS = delete(placements).where(placements.c.mailbox_id == bindparam("mailbox_id"))
_DELETE_TOMBSTONES = delete(tombstones).where(tombstones.c.mailbox_id == bindparam("mailbox_id"))
_DELETE_SCOPED = delete(messages).where(
    messages.c.account_id == bindparam("account_id"), messages.c.scope_mailbox_id == bindparam("mailbox_id")
)
_other = placements.alias("other")
_DELETE_ONLY_HERE = delete(messages).where(
    messages.c.id.in_(select(placements.c.message_id).where(placements.c.mailbox_id == bindparam("mailbox_id"))),
    ~exists().where(_other.c.message_id == messages.c.id, _other.c.mailbox_id != bindparam("mailbox_id")),
)
_NEXT_UIDVALIDITY = upsert(
    meta,
    ["key"],
    value=lambda offered: case((offered.value > meta.c.value, offered.value), else_=meta.c.value + 1),
).returning(meta.c.value)

_LATEST = upsert(
    meta,
    ["key"],
    value=lambda offered: case((offered.value >= meta.c.value, offered.value), else_=meta.c.value + 1),
).returning(meta.c.value)


@functools.lru_cache(maxsize=_ROWS_KEPT)
def _mailbox(row: Row) -> MailboxRow:
    values = list(row)
    for index in _BOOLEANS:
        values[index] = bool(values[index])
    values[_PATH] = tuple(json.loads(values[_PATH]))
    values[_ROLE] = None if values[_ROLE] is None else Role(values[_ROLE])
    values[_STORABLE] = frozenset(values[_STORABLE].split())
    return MailboxRow(*values)


def _stored(name: str, value: Any) -> Any:
    match name:
        case "path":
            return json.dumps(list(value))
        case "storable_flags":
            return " ".join(sorted(value))
        case "role":
            return value.value if isinstance(value, Role) else None
        case "ref":
            return value
        case _:
            return int(value)


async def mailboxes_of(tx: Transaction, account_id: int) -> list[MailboxRow]:
    """Return the mailboxes of an account, in the order they became known."""
    return [_mailbox(row) for row in await tx.rows(_OF_ACCOUNT, account_id=account_id)]


async def mailbox_by_id(tx: Transaction, mailbox_id: int) -> MailboxRow | None:
    """Return the mailbox of that id."""
    row = await tx.row(_BY_ID, mailbox_id=mailbox_id)
    return None if row is None else _mailbox(row)


async def mailbox_by_ref(tx: Transaction, account_id: int, ref: str) -> MailboxRow | None:
    """Return the account's mailbox of that backend id."""
    row = await tx.row(_BY_REF, account_id=account_id, ref=ref)
    return None if row is None else _mailbox(row)


async def allocate_uidvalidity(tx: Transaction, above: int = 0) -> int:
    """Return a UIDVALIDITY that this store never gave out, larger than `above` where 32 bits allow it."""
    wanted = max(tx.now(), above + 1 if above < MAX_UIDNEXT else 1)
    return int(await tx.scalar(_NEXT_UIDVALIDITY, key="uidvalidity", value=wanted))


async def insert_mailbox(
    tx: Transaction,
    account_id: int,
    ref: str,
    path: tuple[str, ...],
    role: Role | None = None,
    *,
    is_selectable: bool = True,
    allows_children: bool = True,
    is_read_only: bool = False,
    is_subscribed: bool = True,
    storable_flags: Iterable[str] = (),
    any_keyword: bool = True,
    uidvalidity: int | None = None,
    uidnext: int | None = None,
    backend_id: str | None = None,
) -> MailboxRow:
    """Add a mailbox. `uidvalidity` and `uidnext` are those of a backend whose UIDs pass through; else they are made.

    Messages below a given `uidnext` count as seen by other sessions: they will not be \\Recent. `backend_id` is the
    backend's MAILBOXID.

    Raises:
        Conflict: the account has a mailbox of that ref already.
    """
    floor = await _first_modseq(tx)
    row = await tx.row(
        _INSERT,
        account_id=account_id,
        ref=ref,
        path=_stored("path", path),
        role=_stored("role", role),
        is_selectable=int(is_selectable),
        allows_children=int(allows_children),
        is_read_only=int(is_read_only),
        is_subscribed=int(is_subscribed),
        storable_flags=_stored("storable_flags", storable_flags),
        any_keyword=int(any_keyword),
        uidvalidity=await allocate_uidvalidity(tx) if uidvalidity is None else uidvalidity,
        uidnext=uidnext or 1,
        recent_uid=uidnext or 1,
        highestmodseq=floor,
        tombstone_floor=floor,
        object_id=await _object_id(tx, account_id, backend_id),
    )
    assert row is not None
    tx.note_tree(account_id)
    mailbox = await mailbox_by_id(tx, row[0])
    assert mailbox is not None
    return mailbox


async def _first_modseq(tx: Transaction) -> int:
    """Return where the mod-sequences of a mailbox begin: also above those of before if the clock was set back.

    The mailbox may be one that was there and comes back under the same UIDVALIDITY, and then clients know its old ones.
    """
    seconds = int(await tx.scalar(_LATEST, key="modseq", value=tx.now()))
    return seconds << _MODSEQ_SHIFT


async def _object_id(tx: Transaction, account_id: int, backend_id: str | None) -> str:
    """Return a MAILBOXID that no mailbox of the account has."""
    told = None
    if backend_id is not None:
        told = (await naming_of(tx, account_id)).told(Kind.MAILBOX, backend_id)
    if told is None or await tx.row(_WITH_OBJECT_ID, account_id=account_id, object_id=told) is not None:
        return made_mailbox_id()
    return told


async def update_mailbox(tx: Transaction, mailbox_id: int, **changes: Unpack[MailboxChanges]) -> None:
    """Change the given columns.

    Raises:
        Conflict: another mailbox of the account has that ref.
    """
    for name, value in changes.items():
        row = await tx.row(_CHANGE[name], mailbox_id=mailbox_id, value=_stored(name, value))
        if row is not None:
            tx.note_tree(row[0])


async def delete_mailbox(tx: Transaction, mailbox_id: int) -> bool:
    """Delete a mailbox, its placements, and the messages that are in no other mailbox. False if there is none."""
    mailbox = await mailbox_by_id(tx, mailbox_id)
    if mailbox is None:
        return False
    await tx.execute(_DELETE_ONLY_HERE, mailbox_id=mailbox_id)
    await tx.execute(_DELETE_SCOPED, account_id=mailbox.account_id, mailbox_id=mailbox_id)
    await tx.execute(_DELETE, mailbox_id=mailbox_id)
    tx.note_tree(mailbox.account_id)
    return True


async def set_mailbox_cursor(tx: Transaction, mailbox_id: int, cursor: str | None, is_listed: bool = True) -> None:
    """Record the backend's position up to which the mailbox is in the store, and that it is so now."""
    await tx.execute(_SET_CURSOR, mailbox_id=mailbox_id, new_cursor=cursor, listed=int(is_listed), now=tx.now())


async def reset_mailbox(
    tx: Transaction,
    mailbox_id: int,
    uidvalidity: int | None = None,
    uidnext: int | None = None,
    backend_id: str | None = None,
) -> MailboxRow | None:
    """Forget the UID map and begin a new UIDVALIDITY: the backend's if given, else one never used.

    MAILBOXID is then another one too (RFC 8474 section 4), `backend_id` if the backend has a new one for the mailbox.
    Drops placements, tombstones and cursor. Messages whose refs count only in this mailbox are forgotten too, since
    under a new UIDVALIDITY a backend's UID names another message; others stay, for the listing to place anew.
    Mod-sequences go on rising. Returns the mailbox as it is now; None if there is none.
    """
    mailbox = await mailbox_by_id(tx, mailbox_id)
    if mailbox is None:
        return None
    await tx.execute(_DELETE_PLACEMENTS, mailbox_id=mailbox_id)
    await tx.execute(_DELETE_TOMBSTONES, mailbox_id=mailbox_id)
    await tx.execute(_DELETE_SCOPED, account_id=mailbox.account_id, mailbox_id=mailbox_id)
    if uidvalidity is None:
        uidvalidity = await allocate_uidvalidity(tx, above=mailbox.uidvalidity)
    await tx.execute(
        _RESET,
        mailbox_id=mailbox_id,
        new_uidvalidity=uidvalidity,
        new_uidnext=uidnext or 1,
        new_object_id=await _object_id(tx, mailbox.account_id, backend_id),
    )
    return await mailbox_by_id(tx, mailbox_id)


async def raise_uidnext(tx: Transaction, mailbox_id: int, uidnext: int) -> None:
    """Make UIDNEXT at least this, as a backend reported it. UIDNEXT never goes down.

    Raises:
        UidsExhausted: beyond the last UID.
    """
    if uidnext > MAX_UIDNEXT:
        raise UidsExhausted(f"mailbox {mailbox_id} would need UID {uidnext - 1}")
    await tx.execute(_RAISE_UIDNEXT, mailbox_id=mailbox_id, at_least=uidnext)


async def claim_recent(tx: Transaction, mailbox_id: int) -> int:
    """Return the first UID that is \\Recent for the session that asks, and take all of them for it.

    Returns UIDNEXT, or 0 if there is no such mailbox, when nothing is recent.
    """
    row = await tx.row(_BY_ID, mailbox_id=mailbox_id)
    if row is None:
        return 0
    mailbox = _mailbox(row)
    if mailbox.recent_uid < mailbox.uidnext:
        await tx.execute(_CLAIM_RECENT, mailbox_id=mailbox_id)
    return mailbox.recent_uid
