"""What a client can ask of SORT and THREAD (RFC 5256, RFC 5957, RFC 5267)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.wire.fetch import FetchItem
from gateway.wire.search import PartialRange, SearchKey, SearchReturn


class SortField(enum.Enum):
    """RFC 5256 section 3 (BASE.6.4.SORT) and RFC 5957 section 3."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"
    FROM = b"FROM"
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"


@dataclass(frozen=True, slots=True)
class SortCriterion:
    field: SortField
    is_reversed: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT. `returns` is None without RETURN (RFC 5267 section 3); `RETURN ()` has become {ALL}.

    `partial` is set if PARTIAL is among `returns`. `update_items` as in SEARCH.
    """

    criteria: tuple[SortCriterion, ...]
    key: SearchKey
    is_uid: bool
    returns: frozenset[SearchReturn] | None = None
    partial: PartialRange | None = None
    update_items: tuple[FetchItem, ...] = ()


class ThreadAlgorithm(enum.Enum):
    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"
    REFS = b"REFS"


@dataclass(frozen=True, slots=True)
class Thread:
    algorithm: ThreadAlgorithm
    key: SearchKey
    is_uid: bool
