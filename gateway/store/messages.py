"""Messages: what is known of each, wherever it is placed."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from sqlalchemy import Text, Update, bindparam, cast, delete, exists, insert, literal, select, update

from gateway.store.object_ids import Kind, Naming, naming_of
from gateway.store.statements import Row, is_in
from gateway.store.tables import accounts, mailboxes, messages, placements
from gateway.store.transaction import Transaction


class Hydration(enum.IntEnum):
    """How much of a message has been read: nothing but its listing, its header, or all of it."""

    NONE = 0
    HEADER = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class MessageValues:
    """What a listing says of a message; None is unknown, and what was known before stays.

    `internal_date` is in unix seconds, `zone` in minutes east of UTC, `size` in octets. `email_id` and `thread_id` are
    the backend's.
    """

    ref: str
    internal_date: int | None = None
    zone: int | None = None
    size: int | None = None
    size_is_exact: bool = True
    email_id: str | None = None
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message. `scope_mailbox_id` is 0 where its ref counts in the whole account.

    `email_id` and `thread_id` are as stored; `object_ids` tells what clients are told.
    """

    id: int
    account_id: int
    scope_mailbox_id: int
    ref: str
    email_id: str | None
    thread_id: str | None
    internal_date: int | None
    internal_zone: int | None
    size: int | None
    size_is_exact: bool
    hydration: Hydration
    content_hash: bytes | None

    @property
    def received(self) -> datetime | None:
        """The internal date in the zone it is shown in."""
        if self.internal_date is None:
            return None
        return datetime.fromtimestamp(self.internal_date, timezone(timedelta(minutes=self.internal_zone or 0)))


class ObjectIds(NamedTuple):
    """What RFC 8474 calls a message; no THREADID where the backend groups no messages."""

    email_id: str
    thread_id: str | None


_FIELDS = tuple(MessageRow.__dataclass_fields__)
_IS_EXACT, _HYDRATION = _FIELDS.index("size_is_exact"), _FIELDS.index("hydration")
_KNOWN = (
    messages.c.internal_date,
    messages.c.internal_zone,
    messages.c.size,
    messages.c.size_is_exact,
    messages.c.email_id,
    messages.c.thread_id,
)
_EMAIL_ID, _THREAD_ID = _KNOWN.index(messages.c.email_id), _KNOWN.index(messages.c.thread_id)
_IN_SCOPE = (
    messages.c.account_id == bindparam("account_id"),
    messages.c.scope_mailbox_id == bindparam("scope_mailbox_id"),
    is_in(messages.c.ref, "refs"),
)
_EXISTING = select(messages.c.ref, messages.c.id, *_KNOWN).where(*_IN_SCOPE)
_IDS = select(messages.c.ref, messages.c.id).where(*_IN_SCOPE)
_REFS = select(messages.c.id, messages.c.ref).where(is_in(messages.c.id, "ids"))
_ROWS = select(*(messages.c[name] for name in _FIELDS)).where(is_in(messages.c.id, "ids"))
_INSERTED = (
    "account_id",
    "scope_mailbox_id",
    "ref",
    "internal_date",
    "internal_zone",
    "size",
    "size_is_exact",
    "email_id",
    "thread_id",
)
_INSERT = insert(messages).values({name: bindparam(name) for name in _INSERTED})
_UPDATE = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values({column: bindparam(f"new_{column.name}") for column in _KNOWN})
)
_SIZES = select(messages.c.id, messages.c.size, messages.c.size_is_exact).where(is_in(messages.c.id, "ids"))
_SET_SIZE = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(size=bindparam("new_size"), size_is_exact=bindparam("new_is_exact"))
)
_SET_FINAL_DATE: Update = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(internal_date=bindparam("new_date"), internal_zone=bindparam("new_zone"))
)
_SET_DATE = _SET_FINAL_DATE.where(messages.c.internal_date.is_(None))
_NEWEST = select(messages.c.id).order_by(messages.c.id.desc()).limit(1)
_HOLDERS = select(placements.c.mailbox_id, placements.c.message_id).where(is_in(placements.c.message_id, "ids"))
_ADD_OCTETS = (
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox_id"))
    .values(octets=mailboxes.c.octets + bindparam("delta"))
)
_SET_HASH = update(messages).where(messages.c.id == bindparam("message_id")).values(content_hash=bindparam("new_hash"))
_BY_HASH = select(messages.c.id, messages.c.ref).where(
    messages.c.account_id == bindparam("account_id"), messages.c.content_hash == bindparam("content_hash")
)
_RENAME = update(messages).where(messages.c.id == bindparam("message_id")).values(ref=bindparam("new_ref"))
_RETIRED = "retired\n"
_RETIRE = (
    update(messages)
    .where(is_in(messages.c.id, "ids"), messages.c.ref.not_like(f"{_RETIRED}%"))
    .values(ref=literal(_RETIRED).concat(cast(messages.c.id, Text)))
)
_OBJECT_IDS = (
    select(messages.c.id, messages.c.email_id, messages.c.thread_id, accounts.c.object_tag, accounts.c.has_plain_ids)
    .join(accounts, accounts.c.id == messages.c.account_id)
    .where(is_in(messages.c.id, "ids"))
)
_SHARE: Update = (
    update(messages)
    .where(messages.c.id == bindparam("copy_id"))
    .values(email_id=bindparam("new_email_id"), thread_id=bindparam("new_thread_id"))
)
_SHARE_UNLESS_GIVEN = _SHARE.where(messages.c.email_id.is_(None))
_ORPHANS = (
    select(messages.c.id)
    .where(
        messages.c.account_id == bindparam("account_id"),
        messages.c.id > bindparam("after_id"),
        ~exists().where(placements.c.message_id == messages.c.id),
    )
    .order_by(messages.c.id)
    .limit(bindparam("limit"))
)
_DELETE_UNPLACED = delete(messages).where(
    is_in(messages.c.id, "ids"), ~exists().where(placements.c.message_id == messages.c.id)
)


async def upsert_messages(
    tx: Transaction, account_id: int, scope_mailbox_id: int, values: Iterable[MessageValues]
) -> dict[str, int]:
    """Add the messages not yet known, complete those that are, and return the id of each ref.

    A None never overwrites what is known, nor an estimated size an exact one. A ref may come twice; the later wins
    where both say something. Where a size changes, the octets of the mailboxes that hold the message follow.
    EMAILID and THREADID never change once told: of a known message the first stay, and the first is also none at all
    for EMAILID, as one has been made then. A date that is known stays too: clients keep it and never ask again, and it
    may be one that the backend could not hold (see `set_dates`).
    """
    naming: Naming | None = None
    merged: dict[str, list[Any]] = {}
    for value in values:
        if naming is None and (value.email_id is not None or value.thread_id is not None):
            naming = await naming_of(tx, account_id)
        merged[value.ref] = _merge(merged.get(value.ref), value, naming)
    rows = await tx.rows(_EXISTING, account_id=account_id, scope_mailbox_id=scope_mailbox_id, refs=list(merged))
    ids: dict[str, int] = {}
    updates: list[dict[str, Any]] = []
    growth: dict[int, int] = {}
    for ref, message_id, *known in rows:
        ids[ref] = message_id
        wanted = _combine(known, merged[ref])
        wanted[_EMAIL_ID] = known[_EMAIL_ID]
        if known[0] is not None:
            is_same = wanted[0] == known[0]
            wanted[:2] = known[0], wanted[1] if is_same and known[1] is None else known[1]
        if wanted != known:
            updates.append(
                {"message_id": message_id}
                | {f"new_{column.name}": item for column, item in zip(_KNOWN, wanted, strict=True)}
            )
            _note_growth(growth, message_id, known[2], wanted[2])
    if updates:
        await tx.execute_many(_UPDATE, updates)
        await _spread_growth(tx, growth)
    new = [ref for ref in merged if ref not in ids]
    if new:
        scope = {"account_id": account_id, "scope_mailbox_id": scope_mailbox_id}
        await tx.execute_many(
            _INSERT,
            [
                scope | {"ref": ref} | {column.name: item for column, item in zip(_KNOWN, merged[ref], strict=True)}
                for ref in new
            ],
        )
        ids |= await ids_by_refs(tx, account_id, scope_mailbox_id, new)
    return {ref: ids[ref] for ref in merged}


def _merge(earlier: list[Any] | None, value: MessageValues, naming: Naming | None) -> list[Any]:
    """Return the fields in the order of `_KNOWN`."""
    is_exact = int(value.size_is_exact and value.size is not None)
    email_id = naming.told(Kind.EMAIL, value.email_id) if naming is not None else None
    thread_id = naming.told(Kind.THREAD, value.thread_id) if naming is not None else None
    fields = [value.internal_date, value.zone, value.size, is_exact, email_id, thread_id]
    return fields if earlier is None else _combine(earlier, fields)


def _combine(known: Sequence[Any], told: Sequence[Any]) -> list[Any]:
    wanted = [old if new is None else new for old, new in zip(known, told, strict=True)]
    if told[2] is None or (known[3] and not told[3]):
        wanted[2:4] = known[2:4]
    if told[0] is not None:
        # The zone belongs to the date: a date without one is not shown in the zone of another date.
        wanted[1] = known[1] if told[1] is None and told[0] == known[0] else told[1]
    for position in (_EMAIL_ID, _THREAD_ID):
        wanted[position] = told[position] if known[position] is None else known[position]
    return wanted


def _note_growth(growth: dict[int, int], message_id: int, old: int | None, new: int | None) -> None:
    delta = (new or 0) - (old or 0)
    if delta:
        growth[message_id] = delta


async def _spread_growth(tx: Transaction, growth: Mapping[int, int]) -> None:
    """Add each message's growth to the octets of every mailbox that holds it."""
    if not growth:
        return
    by_mailbox: dict[int, int] = defaultdict(int)
    for mailbox_id, message_id in await tx.rows(_HOLDERS, ids=list(growth)):
        by_mailbox[mailbox_id] += growth[message_id]
    await tx.execute_many(
        _ADD_OCTETS,
        [{"mailbox_id": mailbox_id, "delta": delta} for mailbox_id, delta in by_mailbox.items() if delta],
    )


async def ids_by_refs(tx: Transaction, account_id: int, scope_mailbox_id: int, refs: Iterable[str]) -> dict[str, int]:
    """Return the ids of those refs that are known."""
    rows = await tx.rows(_IDS, account_id=account_id, scope_mailbox_id=scope_mailbox_id, refs=list(refs))
    return dict(rows)


async def refs_by_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, str]:
    """Return the refs of those messages that exist."""
    return dict(await tx.rows(_REFS, ids=list(ids)))


async def object_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, ObjectIds]:
    """Return EMAILID and THREADID, as clients are told them, of those messages that exist."""
    return {
        message_id: ObjectIds(email_id or Naming(tag, bool(is_plain)).made_email_id(message_id), thread_id)
        for message_id, email_id, thread_id, tag, is_plain in await tx.rows(_OBJECT_IDS, ids=list(ids))
    }


async def share_object_ids(tx: Transaction, pairs: Iterable[tuple[int, int]], *, are_untold: bool = False) -> None:
    """Give copies the ids of their originals (RFC 8474 section 5.1); the pairs are message ids (original, copy).

    A copy for which the backend has an id keeps that, unless nobody can have been told of it yet.
    """
    wanted = {copy: original for original, copy in pairs if copy != original}
    known = await object_ids(tx, wanted.values())
    await tx.execute_many(
        _SHARE if are_untold else _SHARE_UNLESS_GIVEN,
        [
            {"copy_id": copy, "new_email_id": known[original].email_id, "new_thread_id": known[original].thread_id}
            for copy, original in wanted.items()
            if original in known
        ],
    )


async def message_rows(tx: Transaction, ids: Iterable[int]) -> dict[int, MessageRow]:
    """Return everything in the rows of those messages that exist."""
    return {row[0]: _message(row) for row in await tx.rows(_ROWS, ids=list(ids))}


def _message(row: Row) -> MessageRow:
    values = list(row)
    values[_IS_EXACT] = bool(values[_IS_EXACT])
    values[_HYDRATION] = Hydration(values[_HYDRATION])
    return MessageRow(*values)


async def set_sizes(tx: Transaction, sizes: Mapping[int, int], *, is_exact: bool = True) -> None:
    """Record sizes in octets by message id, and adjust the octets of the mailboxes that hold the messages.

    An exact size is not overwritten by an estimate. Messages that do not exist are passed over.
    """
    updates: list[dict[str, Any]] = []
    growth: dict[int, int] = {}
    for message_id, size, was_exact in await tx.rows(_SIZES, ids=list(sizes)):
        new = sizes[message_id]
        if (was_exact and not is_exact) or (size == new and bool(was_exact) == is_exact):
            continue
        updates.append({"message_id": message_id, "new_size": new, "new_is_exact": int(is_exact)})
        _note_growth(growth, message_id, size, new)
    if updates:
        await tx.execute_many(_SET_SIZE, updates)
        await _spread_growth(tx, growth)


async def set_size(tx: Transaction, message_id: int, size: int, *, is_exact: bool = True) -> None:
    """Record the size of one message; see `set_sizes`."""
    await set_sizes(tx, {message_id: size}, is_exact=is_exact)


async def set_dates(tx: Transaction, dates: Mapping[int, datetime], *, is_final: bool = False) -> None:
    """Record internal dates, timezone-aware, by message id.

    A date that is known stays, unless this one `is_final`: what a client asked for, whatever the backend made of it.
    """
    await tx.execute_many(
        _SET_FINAL_DATE if is_final else _SET_DATE,
        [
            {
                "message_id": message_id,
                "new_date": int(date.timestamp()),
                "new_zone": int((date.utcoffset() or timedelta()).total_seconds()) // 60,
            }
            for message_id, date in dates.items()
        ],
    )


async def newest_id(tx: Transaction) -> int:
    """Return the highest message id there is, 0 for none: later messages have higher ones."""
    row = await tx.row(_NEWEST)
    return int(row[0]) if row is not None else 0


async def copy_dates(tx: Transaction, pairs: Iterable[tuple[int, int]]) -> None:
    """Give copies the dates of their originals, where those are known; the pairs are message ids (original, copy)."""
    wanted = {copy: original for original, copy in pairs if copy != original}
    rows = await message_rows(tx, wanted.values())
    dates = {copy: rows[original].received for copy, original in wanted.items() if original in rows}
    await set_dates(tx, {copy: date for copy, date in dates.items() if date is not None}, is_final=True)


async def set_content_hash(tx: Transaction, message_id: int, content_hash: bytes) -> None:
    """Record the hash of the message's octets."""
    await tx.execute(_SET_HASH, message_id=message_id, new_hash=content_hash)


async def messages_by_hash(tx: Transaction, account_id: int, content_hash: bytes) -> dict[int, str]:
    """Return (id -> ref) of the account's messages whose octets have that hash."""
    rows = await tx.rows(_BY_HASH, account_id=account_id, content_hash=content_hash)
    return dict(rows)


async def set_ref(tx: Transaction, message_id: int, ref: str) -> None:
    """Record that the backend calls the message otherwise now; its UIDs stay.

    Raises:
        Conflict: another message has that ref.
    """
    await tx.execute(_RENAME, message_id=message_id, new_ref=ref)


async def retire(tx: Transaction, ids: Iterable[int]) -> None:
    """Take their refs from messages whose content was replaced at the backend, so that the refs can name the new ones.

    The rows stay until no session needs them any more; UIDs and octets are bound for ever.
    """
    await tx.execute(_RETIRE, ids=list(ids))


def is_retired(ref: str) -> bool:
    """Whether `retire` has put this in the place of a message's ref."""
    return ref.startswith(_RETIRED)


async def orphaned_messages(tx: Transaction, account_id: int, limit: int, after_id: int = 0) -> list[int]:
    """Return ids of messages that are in no mailbox: the lowest above `after_id`, at most `limit`."""
    return [row[0] for row in await tx.rows(_ORPHANS, account_id=account_id, limit=limit, after_id=after_id)]


async def delete_messages(tx: Transaction, ids: Iterable[int]) -> int:
    """Forget messages and return how many went. Those that are still in a mailbox stay: remove placements first."""
    return await tx.execute(_DELETE_UNPLACED, ids=list(ids))
