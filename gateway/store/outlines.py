"""What FETCH asks for again and again, kept ready in narrow tables: ENVELOPE, BODYSTRUCTURE, header block, preview.

An ENVELOPE stays as it was stored first, since clients keep it (RFC 9051 section 2.3.5), though it may have come from a
header whose octets are not the message's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Executable, Table, and_, bindparam, case, delete, select, update
from sqlalchemy.dialects import sqlite

from gateway.message.sort_keys import SortKeys
from gateway.store import sort_keys, tables, usual_headers
from gateway.store.messages import Hydration
from gateway.store.statements import is_in, portable, upsert
from gateway.store.tables import messages, placements
from gateway.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class OutlineValues:
    """What reading a message (or its header) gave; None keeps what is stored.

    `header` is the block with its closing empty line, `envelope` and `body_structure` finished wire bytes,
    `part_index` the encoded part tree, `preview` at most 200 characters. Unless `header_is_exact`, the fields of the
    header and their values are right, but its octets need not be the message's. `keys` are those of SORT and THREAD.
    """

    message_id: int
    header: bytes
    envelope: bytes
    body_structure: bytes | None = None
    part_index: bytes | None = None
    preview: str | None = None
    hydration: Hydration = Hydration.HEADER
    header_is_exact: bool = True
    keys: SortKeys | None = None


MissingRow = tuple[int, int, str]
"""(uid, message id, ref)"""

_SAVE_HEADER = upsert(tables.headers, ["message_id"], "block")
_SAVE_HEADER_VALUES = upsert(tables.header_values, ["message_id"], "block")
_DROP_HEADER_VALUES = delete(tables.header_values).where(is_in(tables.header_values.c.message_id, "ids"))
_SAVE_ENVELOPE = upsert(tables.envelopes, ["message_id"], data=lambda _: tables.envelopes.c.data)
_SAVE_STRUCTURE = upsert(
    tables.structures,
    ["message_id"],
    body_structure=lambda new: case(
        (new.body_structure.is_not(None), new.body_structure), else_=tables.structures.c.body_structure
    ),
    part_index=lambda new: case((new.part_index.is_not(None), new.part_index), else_=tables.structures.c.part_index),
)
_SAVE_PREVIEW = upsert(tables.previews, ["message_id"], "text")
_RAISE_HYDRATION = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"), messages.c.hydration < bindparam("level"))
    .values(hydration=bindparam("level"))
)
_EXISTING = select(messages.c.id).where(is_in(messages.c.id, "ids"))
_ENVELOPES = select(tables.envelopes.c.message_id, tables.envelopes.c.data).where(
    is_in(tables.envelopes.c.message_id, "ids")
)
_STRUCTURES = select(tables.structures.c.message_id, tables.structures.c.body_structure).where(
    is_in(tables.structures.c.message_id, "ids"), tables.structures.c.body_structure.is_not(None)
)
_PART_INDEXES = select(tables.structures.c.message_id, tables.structures.c.part_index).where(
    is_in(tables.structures.c.message_id, "ids"), tables.structures.c.part_index.is_not(None)
)
_HEADERS = select(tables.headers.c.message_id, tables.headers.c.block).where(is_in(tables.headers.c.message_id, "ids"))
_HEADER_VALUES = select(tables.header_values.c.message_id, tables.header_values.c.block).where(
    is_in(tables.header_values.c.message_id, "ids")
)
_WITH_HEADER = select(tables.headers.c.message_id).where(is_in(tables.headers.c.message_id, "ids"))
_PREVIEWS = select(tables.previews.c.message_id, tables.previews.c.text).where(
    is_in(tables.previews.c.message_id, "ids")
)
_MISSING = (
    select(placements.c.uid, placements.c.message_id, messages.c.ref)
    .join(
        messages,
        and_(messages.c.id == placements.c.message_id, messages.c.hydration < bindparam("level")),
    )
    .where(placements.c.mailbox_id == bindparam("mailbox_id"))
)
_MISSING_OF = _MISSING.where(is_in(placements.c.uid, "uids")).order_by(placements.c.uid)
_MISSING_NEWEST = (
    _MISSING.where(placements.c.uid < bindparam("below_uid"))
    .order_by(placements.c.uid.desc())
    .limit(bindparam("limit"))
)


def _copy_of(table: Table, into: Table | None = None) -> Executable:
    target = table if into is None else into
    columns = [column for column in table.columns if column.name != "message_id"]
    source = select(bindparam("target_id", type_=table.c.message_id.type), *columns)
    source = source.where(table.c.message_id == bindparam("source_id"))
    statement = sqlite.insert(target).from_select(["message_id", *(column.name for column in columns)], source)
    return portable(statement.on_conflict_do_nothing(index_elements=["message_id"]))


_COPY_VALUES = (
    _copy_of(tables.envelopes),
    _copy_of(tables.headers, tables.header_values),
    _copy_of(tables.header_values),
)
_COPY = tuple(
    _copy_of(table)
    for table in (
        tables.headers,
        tables.usual_headers,
        tables.header_values,
        tables.envelopes,
        tables.structures,
        tables.previews,
    )
)
_source = messages.alias("source")
_source_hydration = select(_source.c.hydration).where(_source.c.id == bindparam("source_id")).scalar_subquery()
_COPY_HYDRATION = (
    update(messages)
    .where(messages.c.id == bindparam("target_id"), messages.c.hydration < _source_hydration)
    .values(hydration=_source_hydration)
)
_COPY_OUTLINED = (
    update(messages)
    .where(
        messages.c.id == bindparam("target_id"),
        messages.c.hydration < int(Hydration.HEADER),
        _source_hydration >= int(Hydration.HEADER),
    )
    .values(hydration=int(Hydration.HEADER))
)


async def save_outlines(tx: Transaction, outlines: Iterable[OutlineValues]) -> None:
    """Keep outlines, and raise the messages' hydration; it never falls. Messages that are gone are passed over."""
    given = {outline.message_id: outline for outline in outlines}
    kept = [given[row[0]] for row in await tx.rows(_EXISTING, ids=list(given))]
    for statement, is_exact in ((_SAVE_HEADER, True), (_SAVE_HEADER_VALUES, False)):
        await tx.execute_many(
            statement,
            [
                {"message_id": outline.message_id, "block": outline.header}
                for outline in kept
                if outline.header_is_exact is is_exact
            ],
        )
    if exact := [(outline.message_id, outline.header) for outline in kept if outline.header_is_exact]:
        await tx.execute(_DROP_HEADER_VALUES, ids=[message_id for message_id, _ in exact])
        await usual_headers.save(tx, exact)
    await tx.execute_many(
        _SAVE_ENVELOPE, [{"message_id": outline.message_id, "data": outline.envelope} for outline in kept]
    )
    await tx.execute_many(
        _SAVE_STRUCTURE,
        [
            {
                "message_id": outline.message_id,
                "body_structure": outline.body_structure,
                "part_index": outline.part_index,
            }
            for outline in kept
            if outline.body_structure is not None or outline.part_index is not None
        ],
    )
    await tx.execute_many(
        _SAVE_PREVIEW,
        [
            {"message_id": outline.message_id, "text": outline.preview}
            for outline in kept
            if outline.preview is not None
        ],
    )
    await sort_keys.save(tx, [(outline.message_id, outline.keys) for outline in kept if outline.keys is not None])
    await tx.execute_many(
        _RAISE_HYDRATION,
        [{"message_id": outline.message_id, "level": int(outline.hydration)} for outline in kept],
    )


async def copy_outlines(tx: Transaction, pairs: Sequence[tuple[int, int]]) -> None:
    """Give each second message what is kept of the first, whose octets are the same; what it has already stays."""
    rows = [{"source_id": source, "target_id": target} for source, target in pairs if source != target]
    for statement in (*_COPY, _COPY_HYDRATION):
        await tx.execute_many(statement, rows)
    await sort_keys.copy(tx, pairs)


async def copy_envelopes(tx: Transaction, pairs: Sequence[tuple[int, int]]) -> None:
    """Give each second message ENVELOPE and header values of the first, whose octets are others than its own."""
    rows = [{"source_id": source, "target_id": target} for source, target in pairs if source != target]
    for statement in (*_COPY_VALUES, _COPY_OUTLINED):
        await tx.execute_many(statement, rows)
    await sort_keys.copy(tx, pairs)


async def envelopes(tx: Transaction, ids: Iterable[int]) -> dict[int, bytes]:
    """Return ENVELOPE as wire bytes by message id; messages without one are left out."""
    return dict(await tx.rows(_ENVELOPES, ids=list(ids)))


async def structures(tx: Transaction, ids: Iterable[int]) -> dict[int, bytes]:
    """Return BODYSTRUCTURE as wire bytes by message id; messages without one are left out."""
    return dict(await tx.rows(_STRUCTURES, ids=list(ids)))


async def header_blocks(tx: Transaction, ids: Iterable[int]) -> dict[int, bytes]:
    """Return header blocks by message id; messages without one are left out."""
    return dict(await tx.rows(_HEADERS, ids=list(ids)))


async def with_header_block(tx: Transaction, ids: Iterable[int]) -> set[int]:
    """Return those of the messages whose header block is known octet for octet."""
    return {row[0] for row in await tx.rows(_WITH_HEADER, ids=list(ids))}


async def header_values(tx: Transaction, ids: Iterable[int]) -> dict[int, bytes]:
    """Return header blocks by message id that are good for the values of fields, if not always for their octets."""
    wanted = list(ids)
    return dict(await tx.rows(_HEADER_VALUES, ids=wanted)) | dict(await tx.rows(_HEADERS, ids=wanted))


async def part_index(tx: Transaction, ids: Iterable[int]) -> dict[int, bytes]:
    """Return encoded part trees by message id; messages without one are left out."""
    return dict(await tx.rows(_PART_INDEXES, ids=list(ids)))


async def previews(tx: Transaction, ids: Iterable[int]) -> dict[int, str]:
    """Return previews by message id; messages without one are left out."""
    return dict(await tx.rows(_PREVIEWS, ids=list(ids)))


async def without_outline(
    tx: Transaction, mailbox_id: int, uids: Sequence[int], *, level: Hydration = Hydration.HEADER
) -> list[MissingRow]:
    """Return those of the UIDs whose message has not been read up to `level`, ascending."""
    return await tx.rows(_MISSING_OF, mailbox_id=mailbox_id, uids=list(uids), level=int(level))


async def newest_without_outline(
    tx: Transaction,
    mailbox_id: int,
    limit: int,
    *,
    below_uid: int = 2**32,
    level: Hydration = Hydration.HEADER,
) -> list[MissingRow]:
    """Return the newest messages not read up to `level` with a UID under `below_uid`, newest first, at most `limit`.

    A caller that works through a mailbox passes the last UID it got, so that it is walked through once in all.
    """
    return await tx.rows(_MISSING_NEWEST, mailbox_id=mailbox_id, below_uid=below_uid, limit=limit, level=int(level))
