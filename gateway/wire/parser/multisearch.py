"""ESEARCH (RFC 7377 section 4)."""

from __future__ import annotations

from gateway.wire.mailbox_filter import FilterKind, MailboxFilter
from gateway.wire.multisearch import MultiSearch
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.mailbox_filter import read_filter
from gateway.wire.parser.returns import read_returns
from gateway.wire.parser.search import read_charset, read_keys
from gateway.wire.search import SearchReturn

_SOURCES = frozenset(FilterKind) - {FilterKind.SELECTED_DELAYED}
_SELECTED = (MailboxFilter(FilterKind.SELECTED),)


def read_multisearch(cursor: Cursor) -> MultiSearch:
    """Read `[SP "IN" SP sources] [SP "RETURN" SP options] [SP "CHARSET" SP charset] SP search-key *(SP search-key)`."""
    cursor.space()
    sources: tuple[MailboxFilter, ...] = _SELECTED
    if cursor.accept_word(b"IN"):
        cursor.space()
        sources = _read_sources(cursor)
        cursor.space()
    # Without RETURN there is no older form of the answer to fall back to (section 2.1).
    returns = read_returns(cursor)
    charset: str | None = None
    if cursor.accept_word(b"CHARSET"):
        cursor.space()
        charset = read_charset(cursor)
        cursor.space()
    options = returns.options or frozenset({SearchReturn.ALL})
    key = read_keys(cursor, charset)
    return MultiSearch(key, sources, options, charset, returns.partial, returns.update_items)


def _read_sources(cursor: Cursor) -> tuple[MailboxFilter, ...]:
    """Read `"(" filter *(SP filter) [SP "(" scope-options ")"] ")"`; no scope option is defined (section 4)."""
    return tuple(dict.fromkeys(cursor.in_parentheses(lambda: _read_source(cursor))))


def _read_source(cursor: Cursor) -> MailboxFilter:
    if cursor.peek() == b"(":
        raise SyntaxFault("Unknown scope option")
    return read_filter(cursor, _SOURCES)
