"""CANCELUPDATE (RFC 5267 section 5)."""

from __future__ import annotations

from gateway.wire.context import CancelUpdate
from gateway.wire.parser.cursor import Cursor


def read_cancel_update(cursor: Cursor) -> CancelUpdate:
    """Read `1*(SP quoted)`."""
    cursor.space()
    tags: list[str] = []
    while True:
        cursor.count()
        if cursor.peek() != b'"':
            raise cursor.fault("Quoted tag expected")
        # What is no tag of a command names no search, and is as good as any other that does not.
        tags.append(cursor.string().decode("ascii", "replace"))
        if not cursor.accept_space():
            return CancelUpdate(tuple(tags))
