"""The keys by which messages are sorted and threaded (RFC 5256), one row per message whose header has been read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select
from sqlalchemy.dialects import sqlite

from gateway.message.sort_keys import SortKeys
from gateway.store.statements import Row, is_in, portable, upsert
from gateway.store.tables import messages, placements, sort_keys
from gateway.store.transaction import Transaction
from gateway.wire.sort import SortField

ThreadRow = tuple[int, int, str, int, str, str]
"""(uid, sent, base subject, is reply, Message-Id, ids of the ancestors joined by spaces)"""

_TEXTS = ("subject", "sender", "recipient", "copied", "shown_sender", "shown_recipient", "own_id", "ancestors")
_SAVE = upsert(sort_keys, ["message_id"], "sent", "is_reply", *_TEXTS)
_EXISTING = select(messages.c.id).where(is_in(messages.c.id, "ids"))
_SENT = func.coalesce(sort_keys.c.sent, messages.c.internal_date, 0)
_HERE = placements.c.mailbox_id == bindparam("mailbox_id")
_JOINED = placements.outerjoin(sort_keys, sort_keys.c.message_id == placements.c.message_id).join(
    messages, messages.c.id == placements.c.message_id
)


def _ranked(key: ColumnElement[Any]) -> Select[Any]:
    """Return (uid, rank) of a mailbox's messages, ascending by UID; equal keys have one rank."""
    rank = func.dense_rank().over(order_by=key)
    return select(placements.c.uid, rank).select_from(_JOINED).where(_HERE).order_by(placements.c.uid)


def _collated(text: ColumnElement[str]) -> ColumnElement[str]:
    # Texts are kept in small letters. i;unicode-casemap compares great ones (RFC 5051 section 2): what stands between
    # the two in ASCII, such as a bracket or an underscore, comes behind the letters.
    return func.upper(func.coalesce(text, ""))


_KEPT = {
    SortField.DATE: _SENT,
    SortField.SUBJECT: _collated(sort_keys.c.subject),
    SortField.FROM: _collated(sort_keys.c.sender),
    SortField.TO: _collated(sort_keys.c.recipient),
    SortField.CC: _collated(sort_keys.c.copied),
    SortField.DISPLAYFROM: _collated(sort_keys.c.shown_sender),
    SortField.DISPLAYTO: _collated(sort_keys.c.shown_recipient),
}
_RANKED = {
    SortField.ARRIVAL: _ranked(func.coalesce(messages.c.internal_date, 0)),
    SortField.SIZE: _ranked(func.coalesce(messages.c.size, 0)),
    **{field: _ranked(key) for field, key in _KEPT.items()},
}
_VALUES = (
    select(messages.c.id, *_KEPT.values())
    .select_from(messages.outerjoin(sort_keys, sort_keys.c.message_id == messages.c.id))
    .where(is_in(messages.c.id, "ids"))
)
_THREADED = (
    select(
        placements.c.uid,
        _SENT,
        func.coalesce(sort_keys.c.subject, ""),
        func.coalesce(sort_keys.c.is_reply, 0),
        func.coalesce(sort_keys.c.own_id, ""),
        func.coalesce(sort_keys.c.ancestors, ""),
    )
    .select_from(_JOINED)
    .where(_HERE)
    .order_by(placements.c.uid)
)
_MISSING = (
    select(placements.c.uid, placements.c.message_id)
    .where(
        _HERE,
        placements.c.uid > bindparam("after_uid"),
        ~exists().where(sort_keys.c.message_id == placements.c.message_id),
    )
    .order_by(placements.c.uid)
    .limit(bindparam("limit"))
)


def _copy() -> Any:
    columns = [column for column in sort_keys.columns if column.name != "message_id"]
    source = select(bindparam("target_id", type_=sort_keys.c.message_id.type), *columns)
    source = source.where(sort_keys.c.message_id == bindparam("source_id"))
    statement = sqlite.insert(sort_keys).from_select(["message_id", *(column.name for column in columns)], source)
    return portable(statement.on_conflict_do_nothing(index_elements=["message_id"]))


_COPY = _copy()


async def save(tx: Transaction, keys: Iterable[tuple[int, SortKeys]]) -> None:
    """Keep the keys of messages that are there, by message id."""
    await tx.execute_many(_SAVE, [_values(message_id, values) for message_id, values in keys])


async def save_existing(tx: Transaction, keys: Iterable[tuple[int, SortKeys]]) -> None:
    """Keep the keys of messages, by message id; messages that are gone are passed over."""
    given = dict(keys)
    await save(tx, [(row[0], given[row[0]]) for row in await tx.rows(_EXISTING, ids=list(given))])


def _values(message_id: int, keys: SortKeys) -> dict[str, object]:
    return {
        "message_id": message_id,
        "sent": keys.sent,
        "is_reply": int(keys.is_reply),
        "subject": keys.subject,
        "sender": keys.sender,
        "recipient": keys.recipient,
        "copied": keys.copied,
        "shown_sender": keys.shown_sender,
        "shown_recipient": keys.shown_recipient,
        "own_id": keys.message_id,
        "ancestors": " ".join(keys.references),
    }


async def copy(tx: Transaction, pairs: Sequence[tuple[int, int]]) -> None:
    """Give each second message the keys of the first; what it has already stays."""
    rows = [{"source_id": source, "target_id": target} for source, target in pairs if source != target]
    await tx.execute_many(_COPY, rows)


async def ranks(tx: Transaction, mailbox_id: int, field: SortField) -> list[Row]:
    """Return (uid, rank) of every message of a mailbox, ascending by UID; what is not known sorts as empty."""
    return await tx.rows(_RANKED[field], mailbox_id=mailbox_id)


async def values(tx: Transaction, message_ids: Sequence[int]) -> dict[int, dict[SortField, int | str]]:
    """Return what messages are sorted by, by message id, but for ARRIVAL and SIZE; messages that are gone are left out.

    In Python these compare as they do in `ranks`.
    """
    rows = await tx.rows(_VALUES, ids=list(message_ids))
    return {row[0]: dict(zip(_KEPT, row[1:], strict=True)) for row in rows}


async def thread_rows(tx: Transaction, mailbox_id: int) -> list[ThreadRow]:
    """Return what THREAD needs of every message of a mailbox, ascending by UID."""
    return await tx.rows(_THREADED, mailbox_id=mailbox_id)


async def missing(tx: Transaction, mailbox_id: int, after_uid: int, limit: int) -> list[tuple[int, int]]:
    """Return (uid, message id) of messages above a UID whose keys are not known, ascending."""
    return await tx.rows(_MISSING, mailbox_id=mailbox_id, after_uid=after_uid, limit=limit)
