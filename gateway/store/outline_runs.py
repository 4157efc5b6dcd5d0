"""What FETCH lists of messages that follow one another in a mailbox: one statement for a whole block, in its order."""

from __future__ import annotations

import enum

from sqlalchemy import Column, Select, bindparam, func, select

from gateway.store import tables
from gateway.store.tables import placements
from gateway.store.transaction import Transaction


class Outline(enum.Enum):
    """What is kept ready of a message: ENVELOPE and BODYSTRUCTURE as wire bytes, the header block octet for octet.

    A `USUAL_HEADER` has at least the fields that are usual (see `gateway.message.usual_fields`), like the whole block.
    """

    ENVELOPE = "envelope"
    STRUCTURE = "structure"
    HEADER = "header"
    USUAL_HEADER = "usual header"


_IN_RUN = (
    placements.c.mailbox_id == bindparam("mailbox_id"),
    placements.c.uid >= bindparam("first_uid"),
    placements.c.uid <= bindparam("last_uid"),
)


def _run_of(value: Column[bytes]) -> Select[tuple[int, bytes]]:
    return (
        select(placements.c.message_id, value)
        .join(value.table, value.table.c.message_id == placements.c.message_id)
        .where(*_IN_RUN, value.is_not(None))
        .order_by(placements.c.uid)
    )


_ENVELOPES = _run_of(tables.envelopes.c.data)
_STRUCTURES = _run_of(tables.structures.c.body_structure)
_HEADERS = _run_of(tables.headers.c.block)
_whole = select(tables.headers.c.block).where(tables.headers.c.message_id == placements.c.message_id).scalar_subquery()
_block = func.coalesce(tables.usual_headers.c.block, _whole)
_USUAL_HEADERS = (
    select(placements.c.message_id, _block)
    .join(tables.usual_headers, tables.usual_headers.c.message_id == placements.c.message_id, isouter=True)
    .where(*_IN_RUN, _block.is_not(None))
    .order_by(placements.c.uid)
)

_STATEMENTS = {
    Outline.ENVELOPE: _ENVELOPES,
    Outline.STRUCTURE: _STRUCTURES,
    Outline.HEADER: _HEADERS,
    Outline.USUAL_HEADER: _USUAL_HEADERS,
}


async def outline_run(
    tx: Transaction, outline: Outline, mailbox_id: int, first_uid: int, last_uid: int
) -> list[tuple[int, bytes]]:
    """Return (message id, value) of the messages with UIDs from `first_uid` to `last_uid`, in the order of UIDs.

    Those of which the value is not known are left out.
    """
    return await tx.rows(_STATEMENTS[outline], mailbox_id=mailbox_id, first_uid=first_uid, last_uid=last_uid)
