from __future__ import annotations

from datetime import date

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Command
from gateway.wire.search import (
    All,
    And,
    Comparison,
    DateIs,
    DateOf,
    HasFlag,
    HeaderContains,
    SearchReturn,
    TextContains,
)
from gateway.wire.sort import Sort, SortCriterion, SortField, Thread, ThreadAlgorithm
from tests.gateway.wire.reading import parse, refusal

SUBJECT = SortCriterion(SortField.SUBJECT)
DATE = SortCriterion(SortField.DATE)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 5256 section 3
        (
            b"SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994",
            Sort((SUBJECT,), DateIs(DateOf.INTERNAL, Comparison.SINCE, date(1994, 2, 1)), False),
        ),
        (
            b"SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
            Sort((SUBJECT, SortCriterion(SortField.DATE, is_reversed=True)), All(), False),
        ),
        (
            b'uid sort (subject) us-ascii text "not in mailbox"',
            Sort((SUBJECT,), TextContains("not in mailbox"), True),
        ),
        # RFC 5267 section 3
        (
            b"SORT RETURN (MIN COUNT) (REVERSE DISPLAYFROM) UTF-8 UNSEEN",
            Sort(
                (SortCriterion(SortField.DISPLAYFROM, is_reversed=True),),
                HasFlag("\\Seen", is_set=False),
                False,
                frozenset({SearchReturn.MIN, SearchReturn.COUNT}),
            ),
        ),
        (b"UID SORT RETURN () (DATE) UTF-8 ALL", Sort((DATE,), All(), True, frozenset({SearchReturn.ALL}))),
        (b'THREAD REFERENCES "UTF-8" ALL', Thread(ThreadAlgorithm.REFERENCES, All(), False)),
        (
            b"UID THREAD orderedsubject UTF-8 SEEN FROM x",
            Thread(ThreadAlgorithm.ORDEREDSUBJECT, And((HasFlag("\\Seen"), HeaderContains("from", "x"))), True),
        ),
        (b"THREAD REFS UTF-8 ALL", Thread(ThreadAlgorithm.REFS, All(), False)),
    ],
)
def test_commands(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"SORT",
        b"SORT (DATE)",
        b"SORT (DATE) UTF-8",
        b"SORT () UTF-8 ALL",
        b"SORT DATE UTF-8 ALL",
        b"SORT (REVERSE) UTF-8 ALL",
        b"SORT (COLOUR) UTF-8 ALL",
        b"SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        b"THREAD UTF-8 ALL",
        b"THREAD REFERENCES UTF-8",
        b"THREAD JWZ UTF-8 ALL",
    ],
)
def test_what_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


def test_an_unknown_charset_is_told_with_those_that_are_known() -> None:
    for line in (b"SORT (DATE) KOI9 ALL", b"THREAD REFERENCES KOI9 ALL"):
        refused = refusal(line)
        assert (refused.status, refused.code) == (Status.NO, Code.BADCHARSET)
