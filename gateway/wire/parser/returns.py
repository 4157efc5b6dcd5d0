"""What SEARCH, SORT and ESEARCH are to return (RFC 4731 section 3.1, RFC 5267 section 5, RFC 5465 section 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.wire.fetch import FetchItem
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.fetch import read_items
from gateway.wire.parser.partial import read_partial_range
from gateway.wire.search import PartialRange, SearchReturn

_RETURNS = {option.value: option for option in SearchReturn}
_BEFORE_ITEMS = re.compile(rb" *(?=\()")

_Return = tuple[SearchReturn, PartialRange | None, tuple[FetchItem, ...]]


@dataclass(frozen=True, slots=True)
class Returns:
    """What stands behind RETURN: the options, None without RETURN, and what PARTIAL and UPDATE have behind them."""

    options: frozenset[SearchReturn] | None = None
    partial: PartialRange | None = None
    update_items: tuple[FetchItem, ...] = ()


def read_returns(cursor: Cursor) -> Returns:
    """Read `"RETURN" SP options SP` if it comes next."""
    if not cursor.accept_word(b"RETURN"):
        return Returns()
    cursor.space()
    read = cursor.in_parentheses(lambda: _read_return(cursor), is_empty_allowed=True)
    cursor.space()
    options = frozenset(option for option, _, _ in read)
    cursor.is_saving = SearchReturn.SAVE in options
    if options <= {SearchReturn.CONTEXT}:
        # RFC 4731 section 3.1: no option is the same as ALL. CONTEXT is a hint and asks for nothing.
        options |= {SearchReturn.ALL}
    ranges = [partial for _, partial, _ in read if partial is not None]
    if len(ranges) > 1 or (ranges and SearchReturn.ALL in options):
        # RFC 5267 section 4.4, RFC 9394 section 3.1.
        raise SyntaxFault("Only one PARTIAL or ALL can be asked for")
    items = dict.fromkeys(item for _, _, items in read for item in items)
    return Returns(options, ranges[0] if ranges else None, tuple(items))


def _read_return(cursor: Cursor) -> _Return:
    name = cursor.word()
    if name not in _RETURNS:
        raise SyntaxFault("Unknown SEARCH return option")
    if name == b"PARTIAL":
        cursor.space()
        return SearchReturn.PARTIAL, read_partial_range(cursor), ()
    # RFC 5465 section 8 has no space before the items, its example in section 7 has one.
    has_items = name == b"UPDATE" and cursor.match(_BEFORE_ITEMS) is not None
    return _RETURNS[name], None, read_items(cursor) if has_items else ()
