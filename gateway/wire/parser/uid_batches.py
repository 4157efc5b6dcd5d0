"""UIDBATCHES (RFC 10022)."""

from __future__ import annotations

from gateway.wire.parser.cursor import Cursor
from gateway.wire.uid_batches import UidBatches


def read_uid_batches(cursor: Cursor) -> UidBatches:
    """Read `SP nz-number [SP nz-number ":" nz-number]`: the size, and which batches."""
    cursor.space()
    size = cursor.number(smallest=1)
    if not cursor.accept_space():
        return UidBatches(size)
    first = cursor.number(smallest=1)
    cursor.expect(b":")
    return UidBatches(size, (first, cursor.number(smallest=1)))
