from __future__ import annotations

from datetime import date

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Search
from gateway.wire.gmail import SystemLabel
from gateway.wire.parser.search import parse_criteria
from gateway.wire.reader import Limits
from gateway.wire.search import (
    All,
    And,
    BodyContains,
    Comparison,
    DateIs,
    DateOf,
    EmailIdIs,
    FilterNamed,
    Fuzzy,
    GmailMessageIs,
    GmailRaw,
    GmailThreadIs,
    HasFlag,
    HasLabel,
    HeaderContains,
    InSequence,
    InUids,
    LargerThan,
    ModSeqSince,
    Not,
    Or,
    PartialRange,
    SearchKey,
    SearchReturn,
    SmallerThan,
    TextContains,
    ThreadIdIs,
    Within,
)
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort
from tests.gateway.wire.reading import parse, refusal

SET = SequenceSet.parse
FIRST = date(1994, 2, 1)


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (b"ALL", All()),
        (b"answered", HasFlag("\\Answered")),
        (b"DELETED", HasFlag("\\Deleted")),
        (b"DRAFT", HasFlag("\\Draft")),
        (b"FLAGGED", HasFlag("\\Flagged")),
        (b"SEEN", HasFlag("\\Seen")),
        (b"UNANSWERED", HasFlag("\\Answered", False)),
        (b"UNDELETED", HasFlag("\\Deleted", False)),
        (b"UNDRAFT", HasFlag("\\Draft", False)),
        (b"UNFLAGGED", HasFlag("\\Flagged", False)),
        (b"UNSEEN", HasFlag("\\Seen", False)),
        (b"RECENT", HasFlag("\\Recent")),
        (b"OLD", HasFlag("\\Recent", False)),
        (b"NEW", And((HasFlag("\\Recent"), HasFlag("\\Seen", False)))),
        (b"KEYWORD $Forwarded", HasFlag("$Forwarded")),
        (b"UNKEYWORD Junk", HasFlag("Junk", False)),
        (b"FROM Smith", HeaderContains("from", "Smith")),
        (b'TO "a b"', HeaderContains("to", "a b")),
        (b"CC x", HeaderContains("cc", "x")),
        (b"BCC {1}\r\nx", HeaderContains("bcc", "x")),
        (b'SUBJECT ""', HeaderContains("subject", "")),
        (b'HEADER Message-ID "<1@x>"', HeaderContains("message-id", "<1@x>")),
        (b'BODY "x y"', BodyContains("x y")),
        (b"TEXT {4+}\r\n\xc3\xa9\r\n", TextContains("é\r\n")),
        (b"BEFORE 1-Feb-1994", DateIs(DateOf.INTERNAL, Comparison.BEFORE, FIRST)),
        (b'ON "1-Feb-1994"', DateIs(DateOf.INTERNAL, Comparison.ON, FIRST)),
        (b"since 01-feb-1994", DateIs(DateOf.INTERNAL, Comparison.SINCE, FIRST)),
        (b"SENTBEFORE 1-Feb-1994", DateIs(DateOf.SENT, Comparison.BEFORE, FIRST)),
        (b"SENTON 1-Feb-1994", DateIs(DateOf.SENT, Comparison.ON, FIRST)),
        (b"SENTSINCE 1-Feb-1994", DateIs(DateOf.SENT, Comparison.SINCE, FIRST)),
        (b"SAVEDSINCE 1-Feb-1994", DateIs(DateOf.SAVED, Comparison.SINCE, FIRST)),  # RFC 8514 section 4.3
        (b"SAVEDON 01-Feb-1994", DateIs(DateOf.SAVED, Comparison.ON, FIRST)),
        (b"savedbefore 1-Feb-1994", DateIs(DateOf.SAVED, Comparison.BEFORE, FIRST)),
        (b"SAVEDATESUPPORTED", All()),
        (b"LARGER 0", LargerThan(0)),
        (b"FILTER on-the-road", FilterNamed("on-the-road")),  # RFC 5466 section 3.1
        (b'FUZZY (SUBJECT "IMAP break")', Fuzzy(HeaderContains("subject", "IMAP break"))),  # RFC 6203 section 3
        (b"FUZZY NOT SEEN", Fuzzy(Not(HasFlag("\\Seen")))),
        (b"SMALLER 9223372036854775807", SmallerThan((1 << 63) - 1)),
        (b"YOUNGER 259200", Within(259200, is_younger=True)),
        (b"OLDER 1", Within(1, is_younger=False)),
        (b"*:*", InSequence(SET(b"*:*"))),
        (b"$", InSequence(SET(b"$"))),
        (b"UID 3:9,12", InUids(SET(b"3:9,12"))),
        (b"UID $", InUids(SET(b"$"))),
        (b"UIDAFTER 25000", InUids(SET(b"25001:4294967295"))),  # RFC 9738 section 3.2
        (b"UIDBEFORE 25000", InUids(SET(b"1:24999"))),
        (b"3:9,12 NOT DELETED", And((InSequence(SET(b"3:9,12")), Not(HasFlag("\\Deleted"))))),
        (b"MODSEQ 620162338", ModSeqSince(620162338)),
        (b'MODSEQ "/flags/\\\\draft" all 620162338', ModSeqSince(620162338)),  # RFC 7162 section 3.1.5
        (b"MODSEQ 0", ModSeqSince(0)),
        (b"emailid M6d99ac3275bb4e", EmailIdIs("M6d99ac3275bb4e")),  # RFC 8474 section 6
        (b'THREADID "T64b4-_78"', ThreadIdIs("T64b4-_78")),
        (b"OR EMAILID 1234 EMAILID " + b"x" * 255, Or(EmailIdIs("1234"), EmailIdIs("x" * 255))),
        (b"X-GM-MSGID 1278455344230334865", GmailMessageIs(1278455344230334865)),
        (b"x-gm-thrid 18446744073709551615", GmailThreadIs((1 << 64) - 1)),
        (b"OR X-GM-LABELS \\Draft X-GM-LABELS &AOk-", Or(HasLabel(SystemLabel.DRAFT), HasLabel("é"))),
        (b'X-GM-RAW "has:attachment in:unread"', GmailRaw("has:attachment in:unread")),
        (b"(SEEN)", HasFlag("\\Seen")),
        (b"( SEEN  ALL )", And((HasFlag("\\Seen"), All()))),
        (b"OR SEEN (DRAFT ALL)", Or(HasFlag("\\Seen"), And((HasFlag("\\Draft"), All())))),
        (b"OR OR SEEN ALL NOT DRAFT", Or(Or(HasFlag("\\Seen"), All()), Not(HasFlag("\\Draft")))),
        (
            b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',  # RFC 9051 section 6.4.4
            And(
                (
                    HasFlag("\\Flagged"),
                    DateIs(DateOf.INTERNAL, Comparison.SINCE, FIRST),
                    Not(HeaderContains("from", "Smith")),
                )
            ),
        ),
    ],
)
def test_keys(asked: bytes, key: SearchKey) -> None:
    assert parse(b"SEARCH " + asked) == Search(key, is_uid=False)
    assert parse(b"uid search " + asked + b" ") == Search(key, is_uid=True)


@pytest.mark.parametrize(
    ("asked", "returns"),
    [
        (b"RETURN () ALL", {SearchReturn.ALL}),
        (b"return (min Max count) ALL", {SearchReturn.MIN, SearchReturn.MAX, SearchReturn.COUNT}),
        (b"RETURN (SAVE) ALL", {SearchReturn.SAVE}),
        (b"RETURN (SAVE ALL) CHARSET UTF-8 ALL", {SearchReturn.SAVE, SearchReturn.ALL}),
    ],
)
def test_return_options(asked: bytes, returns: set[SearchReturn]) -> None:
    command = parse(b"SEARCH " + asked)
    assert isinstance(command, Search)
    assert command.returns == frozenset(returns)
    assert command.key == All()


@pytest.mark.parametrize(
    ("asked", "returns", "partial"),
    [
        # RFC 9394 section 3.1.
        (b"UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED UNKEYWORD $Junk", set(), PartialRange(-1, -100)),
        (b"UID SEARCH RETURN (partial 23500:24000) ALL", set(), PartialRange(23500, 24000)),
        (b"SEARCH RETURN (PARTIAL 500:400 SAVE) ALL", {SearchReturn.SAVE}, PartialRange(500, 400)),
        (b"SEARCH RETURN (MIN PARTIAL -5:-5 COUNT) ALL", {SearchReturn.MIN, SearchReturn.COUNT}, PartialRange(-5, -5)),
        (b"SORT RETURN (PARTIAL 1:4294967295) (DATE) UTF-8 ALL", set(), PartialRange(1, (1 << 32) - 1)),
    ],
)
def test_a_part_of_the_result(asked: bytes, returns: set[SearchReturn], partial: PartialRange) -> None:
    command = parse(asked)
    assert isinstance(command, Search | Sort)
    assert command.returns == frozenset({*returns, SearchReturn.PARTIAL})
    assert command.partial == partial


@pytest.mark.parametrize("charset", [b"UTF-8", b"utf-8", b'"UTF-8"', b"US-ASCII", b"us-ascii"])
def test_charset(charset: bytes) -> None:
    assert parse(b"SEARCH CHARSET " + charset + b" TEXT x") == Search(
        TextContains("x"), is_uid=False, charset=charset.strip(b'"').decode().upper()
    )


def test_text_is_decoded() -> None:
    key = TextContains("ПОЖ")
    assert parse("SEARCH CHARSET UTF-8 TEXT {6}\r\nПОЖ".encode()) == Search(key, False, charset="UTF-8")
    assert parse('SEARCH TEXT "ПОЖ"'.encode(), utf8=True) == Search(key, False)


def test_unknown_charset_is_refused_with_the_list_of_known_ones() -> None:
    refused = refusal(b"SEARCH CHARSET KOI8-R TEXT {3+}\r\n\xf0\xef\xf6")
    assert (refused.status, refused.code) == (Status.NO, Code.BADCHARSET)
    assert refused.arguments == b"(UTF-8 US-ASCII)"


@pytest.mark.parametrize(
    ("line", "is_saving"),
    [
        (b"SEARCH RETURN (SAVE) CHARSET KOI8-R ALL", True),
        (b"SEARCH RETURN (SAVE COUNT) " + b"NOT " * 200 + b"ALL", True),
        (b"SEARCH RETURN (COUNT) CHARSET KOI8-R ALL", False),
        (b"SEARCH CHARSET KOI8-R ALL", False),
        (b"SORT RETURN (SAVE) (DATE) KOI8-R ALL", True),
        (b"SORT (DATE) KOI8-R ALL", False),
        (b"THREAD REFERENCES KOI8-R ALL", False),
        (b"ESEARCH RETURN (SAVE) CHARSET KOI8-R ALL", True),
        (b"ESEARCH CHARSET KOI8-R ALL", False),
    ],
)
def test_a_refusal_tells_whether_the_result_was_to_be_saved(line: bytes, is_saving: bool) -> None:
    refused = refusal(line)
    assert (refused.status, refused.is_saving) == (Status.NO, is_saving)


@pytest.mark.parametrize(
    "line",
    [
        b"SEARCH",
        b"SEARCH ",
        b"SEARCH FOO",
        b"SEARCH ()",
        b"SEARCH (ALL",
        b"SEARCH ALL)",
        b"SEARCH NOT",
        b"SEARCH OR ALL",
        b"SEARCH OR ALL(SEEN)",
        b"SEARCH FROM",
        b"SEARCH HEADER x",
        b"SEARCH KEYWORD \\Seen",
        b"SEARCH BEFORE 1994",
        b"SEARCH BEFORE 30-Feb-1994",
        b'SEARCH ON "1-Feb-1994',
        b"SEARCH LARGER x",
        b"SEARCH RETURN (PARTIAL) ALL",
        b"SEARCH RETURN (PARTIAL 1) ALL",
        b"SEARCH RETURN (PARTIAL 0:5) ALL",
        b"SEARCH RETURN (PARTIAL 1:-5) ALL",
        b"SEARCH RETURN (PARTIAL -1:5) ALL",
        b"SEARCH RETURN (PARTIAL 1:*) ALL",
        b"SEARCH RETURN (PARTIAL 1:5,7) ALL",
        b"SEARCH RETURN (PARTIAL 1:4294967296) ALL",
        b"SEARCH RETURN (PARTIAL 1:5 ALL) ALL",
        b"SEARCH RETURN (PARTIAL 1:5 PARTIAL 6:9) ALL",
        b"SEARCH LARGER 9223372036854775808",
        b"SEARCH OLDER 0",
        b"SEARCH EMAILID",
        b"SEARCH EMAILID (M1)",
        b"SEARCH THREADID a.b",
        b"SEARCH EMAILID " + b"x" * 256,
        b"SEARCH X-GM-MSGID x",
        b"SEARCH X-GM-MSGID 18446744073709551616",
        b"SEARCH X-GM-THRID",
        b"SEARCH X-GM-LABELS",
        b"SEARCH X-GM-LABELS (a)",
        b"SEARCH X-GM-RAW",
        b"SEARCH UID",
        b"SEARCH UID x",
        b"SEARCH 0",
        b"SEARCH 1:2:3",
        b"SEARCH MODSEQ",
        b'SEARCH MODSEQ "/flags/x" 5',
        b'SEARCH MODSEQ "/flags/x" foo 5',
        b"SEARCH RETURN ALL",
        b"SEARCH RETURN (FOO) ALL",
        b"SEARCH RETURN (ALL)",
        b"SEARCH CHARSET",
        b"SEARCH CHARSET UTF-8",
        b"SEARCH CHARSET US-ASCII TEXT {1+}\r\n\xe9",
        b"SEARCH CHARSET UTF-8 TEXT {1+}\r\n\xe9",
        b'SEARCH TEXT "\xe9"',
        b"SEARCH TEXT {2+}\r\n\0x",
        b"SEARCH ALL,SEEN",
    ],
)
def test_wrong_search_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize("opening", [b"(", b"NOT ", b"OR ALL ", b"(NOT "])
def test_nesting_is_limited(opening: bytes) -> None:
    closing = b")" if b"(" in opening else b""
    levels = 25 if opening == b"(NOT " else 50
    assert parse(b"SEARCH " + opening * levels + b"ALL" + closing * levels)
    refused = refusal(b"SEARCH " + opening * (levels + 1) + b"ALL" + closing * (levels + 1))
    assert (refused.status, refused.code) == (Status.NO, Code.LIMIT)
    assert refusal(b"SEARCH " + opening * 3000).code is Code.LIMIT


def test_keys_are_counted() -> None:
    limits = Limits(arguments=5)
    assert parse(b"SEARCH ALL ALL ALL ALL ALL", limits=limits)
    assert refusal(b"SEARCH ALL ALL ALL ALL ALL ALL", limits=limits).code is Code.LIMIT


@pytest.mark.parametrize("key", [b"UIDBEFORE 1", b"UIDAFTER 4294967295"])
def test_beyond_all_uids_there_is_none(key: bytes) -> None:
    command = parse(b"SEARCH " + key)
    assert isinstance(command, Search)
    assert command.key == Not(All())


@pytest.mark.parametrize("key", [b"UIDAFTER", b"UIDAFTER 0", b"UIDBEFORE *", b"UIDAFTER 1:2", b"UIDBEFORE 4294967296"])
def test_wrong_bounds_of_uids_are_refused(key: bytes) -> None:
    assert refusal(b"SEARCH " + key).status is Status.BAD


@pytest.mark.parametrize(
    ("kept", "key"),
    [
        (
            b'OR SMALLER 5000 FROM "boss@example.com"',  # RFC 5466 section 3.1
            Or(SmallerThan(5000), HeaderContains("from", "boss@example.com")),
        ),
        (b"SUBJECT {3}\r\na b TEXT {2+}\r\n)) ", And((HeaderContains("subject", "a b"), TextContains("))")))),
        ('BODY "ü"'.encode(), BodyContains("ü")),
    ],
)
def test_criteria_that_are_kept_are_read(kept: bytes, key: SearchKey) -> None:
    assert parse_criteria(kept) == key


@pytest.mark.parametrize(
    "kept",
    [b"", b" ", b"OR SMALLER 5000", b"ALL)", b"ALL\r\n", b"RETURN () ALL", b"TEXT {3}\r\nab", b"TEXT {3}\r\nabcd"],
)
def test_what_is_no_whole_search_is_not_read(kept: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_criteria(kept)
