"""SORT and THREAD (RFC 5256 section 5, RFC 5267 section 5)."""

from __future__ import annotations

from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.returns import read_returns
from gateway.wire.parser.search import read_charset, read_keys
from gateway.wire.sort import Sort, SortCriterion, SortField, Thread, ThreadAlgorithm

_FIELDS = {field.value: field for field in SortField}
_ALGORITHMS = {algorithm.value: algorithm for algorithm in ThreadAlgorithm}


def read_sort(cursor: Cursor, *, is_uid: bool) -> Sort:
    """Read `[SP "RETURN" SP options] SP "(" criterion *(SP criterion) ")" SP charset SP search-key ...`."""
    cursor.space()
    returns = read_returns(cursor)
    criteria = tuple(cursor.in_parentheses(lambda: _read_criterion(cursor)))
    cursor.space()
    charset = read_charset(cursor)
    cursor.space()
    key = read_keys(cursor, charset)
    return Sort(criteria, key, is_uid, returns.options, returns.partial, returns.update_items)


def read_thread(cursor: Cursor, *, is_uid: bool) -> Thread:
    """Read `SP algorithm SP charset SP search-key ...`."""
    cursor.space()
    name = cursor.word()
    if name not in _ALGORITHMS:
        raise SyntaxFault("Unknown threading algorithm")
    cursor.space()
    charset = read_charset(cursor)
    cursor.space()
    return Thread(_ALGORITHMS[name], read_keys(cursor, charset), is_uid)


def _read_criterion(cursor: Cursor) -> SortCriterion:
    is_reversed = cursor.accept_word(b"REVERSE")
    if is_reversed:
        cursor.space()
    name = cursor.word()
    if name not in _FIELDS:
        raise SyntaxFault("Unknown sort criterion")
    return SortCriterion(_FIELDS[name], is_reversed)
