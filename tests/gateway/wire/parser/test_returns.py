from __future__ import annotations

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import Search
from gateway.wire.fetch import BodySection, FetchAttribute, FetchItem, Section, SectionText
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import PartialRange, SearchReturn
from gateway.wire.sort import Sort
from tests.gateway.wire.reading import parse, refusal

Asked = tuple[frozenset[SearchReturn] | None, PartialRange | None, tuple[FetchItem, ...]]

BOSS = BodySection(Section((), SectionText.HEADER_FIELDS, (b"TO", b"FROM", b"SUBJECT")))


def returns_of(line: bytes) -> Asked:
    command = parse(line)
    assert isinstance(command, Search | Sort | MultiSearch)
    return command.returns, command.partial, command.update_items


@pytest.mark.parametrize(
    ("line", "options", "partial"),
    [
        # RFC 5267 sections 3.3, 4.2, 4.3, 4.4 and A.1 to A.4
        (b"UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk", {SearchReturn.ALL}, None),
        (
            b"SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk",
            {SearchReturn.CONTEXT, SearchReturn.COUNT},
            None,
        ),
        (b"UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk", {SearchReturn.UPDATE, SearchReturn.COUNT}, None),
        (
            b"UID SEARCH RETURN (PARTIAL 23500:24000) UNDELETED UNKEYWORD $Junk",
            {SearchReturn.PARTIAL},
            PartialRange(23500, 24000),
        ),
        (
            b"UID SORT RETURN (COUNT UPDATE CONTEXT) (DATE) UTF-8 UNSEEN UNDELETED",
            {SearchReturn.COUNT, SearchReturn.UPDATE, SearchReturn.CONTEXT},
            None,
        ),
        (b"SEARCH RETURN (UPDATE) ALL", {SearchReturn.UPDATE}, None),
        # A hint, which asks for nothing.
        (b"SEARCH RETURN (CONTEXT) ALL", {SearchReturn.CONTEXT, SearchReturn.ALL}, None),
        (b"SEARCH RETURN (CONTEXT SAVE) ALL", {SearchReturn.CONTEXT, SearchReturn.SAVE}, None),
        (b"search return (update count) flagged unanswered", {SearchReturn.UPDATE, SearchReturn.COUNT}, None),
        (
            b"SORT RETURN (UPDATE PARTIAL 500:400) (DATE) UTF-8 ALL",
            {SearchReturn.UPDATE, SearchReturn.PARTIAL},
            PartialRange(500, 400),
        ),
        # RFC 7377 section 2.2
        (b"ESEARCH RETURN (UPDATE CONTEXT) UNSEEN", {SearchReturn.UPDATE, SearchReturn.CONTEXT}, None),
    ],
)
def test_options(line: bytes, options: set[SearchReturn], partial: PartialRange | None) -> None:
    assert returns_of(line) == (frozenset(options), partial, ())


@pytest.mark.parametrize(
    ("line", "items"),
    [
        # RFC 5465 section 7, and as section 8 has it
        (b'SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (TO FROM SUBJECT)])) FROM "boss"', 2),
        (b'SEARCH RETURN (COUNT UPDATE(UID BODY[HEADER.FIELDS (TO FROM SUBJECT)])) FROM "boss"', 2),
        (b"SORT RETURN (UPDATE (UID) COUNT) (DATE) UTF-8 ALL", 1),
        (b"ESEARCH RETURN (UPDATE (UID) COUNT) ALL", 1),
    ],
)
def test_items_of_new_messages(line: bytes, items: int) -> None:
    expected = frozenset({SearchReturn.COUNT, SearchReturn.UPDATE})
    assert returns_of(line) == (expected, None, (FetchAttribute.UID, BOSS)[:items])


@pytest.mark.parametrize(
    "line",
    [
        b"SEARCH RETURN (PARTIAL 1:5 ALL) SEEN",
        b"SEARCH RETURN (PARTIAL 1:5 PARTIAL 6:9) SEEN",
        b"SORT RETURN (PARTIAL 1:5 ALL) (DATE) UTF-8 SEEN",
        b"SEARCH RETURN (PARTIAL 1:*) SEEN",
        b"SEARCH RETURN (PARTIAL 0:5) SEEN",
        b"SEARCH RETURN (PARTIAL 5) SEEN",
        b"SEARCH RETURN (PARTIAL) SEEN",
        b"SEARCH RETURN (UPDATE ()) SEEN",
        b"SEARCH RETURN (UPDATE UID) SEEN",
        b"SEARCH RETURN (CONTEXT (UID)) SEEN",
        b"SEARCH RETURN (UPDATE (NONSENSE)) SEEN",
        b"SEARCH RETURN UPDATE SEEN",
        b"SORT RETURN (UPDATE) FLAGGED",
        b"THREAD RETURN (UPDATE) REFERENCES UTF-8 ALL",
    ],
)
def test_what_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
