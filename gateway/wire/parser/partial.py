"""The ranges of PARTIAL (RFC 9394 section 4)."""

from __future__ import annotations

from gateway.wire.parser.cursor import Cursor
from gateway.wire.search import PartialRange


def read_partial_range(cursor: Cursor) -> PartialRange:
    """Read `nz-number ":" nz-number`, or both with a minus (RFC 9394 section 4, `partial-range`)."""
    sign = -1 if cursor.accept(b"-") else 1
    first = cursor.number(smallest=1)
    cursor.expect(b":")
    if sign < 0:
        cursor.expect(b"-")
    return PartialRange(sign * first, sign * cursor.number(smallest=1))
