"""Responses: tables of octets and values, read whole, octet by octet, and under hostile conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.response_reader import ResponseLimits, ResponseReader, ResponseStreamError
from gateway.wire.responses import (
    AppendUid,
    CapabilityData,
    ContinuationRequest,
    CopyUid,
    EnabledData,
    ESearchData,
    Event,
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    IdData,
    InProgress,
    ListData,
    LiteralChunk,
    LiteralStart,
    MalformedData,
    Namespace,
    NamespaceData,
    QuotaData,
    QuotaRootData,
    RecentData,
    ResponseCode,
    SearchData,
    StatusData,
    StatusResponse,
    StreamedLiteral,
    TaggedResponse,
    UnknownData,
    VanishedData,
)
from gateway.wire.sequence_set import SequenceSet

SEEN = frozenset({"\\Seen"})
ENVELOPE = (b"date", b'a "quoted" :( subject', None, None, None, None, None, None, None, b"<id>")


def read(data: bytes, step: int | None = None, limits: ResponseLimits | None = None) -> list[Event]:
    """Return the events of `data`, fed in pieces of `step` octets."""
    reader = ResponseReader(limits)
    events: list[Event] = []
    for start in range(0, len(data), step or max(len(data), 1)):
        reader.feed(data[start : start + (step or len(data))])
        while (event := reader.next_event()) is not None:
            events.append(event)
    return events


def ok(code: ResponseCode | None, text: str = "done") -> StatusResponse:
    return StatusResponse(Status.OK, code, text)


CASES: list[tuple[bytes, Event]] = [
    # DavMail pads lines like this while it is at work.
    (b"*  1688 EXISTS\r\n", ExistsData(1688)),
    (b"* 1688  EXISTS\r\n", ExistsData(1688)),
    (b"*   OK [UIDNEXT 4]  done {12}\r\n", ok(ResponseCode(Code.UIDNEXT, b"UIDNEXT", 4), "done {12}")),
    # continuation
    (b"+ idling\r\n", ContinuationRequest(b"idling")),
    (b"+ \r\n", ContinuationRequest(b"")),
    (b"+\r\n", ContinuationRequest(b"")),
    (b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n", ContinuationRequest(b"eyJzdGF0dXMiOiI0MDAifQ==")),
    # tagged and untagged status
    (b"G1 OK done\r\n", TaggedResponse(b"G1", Status.OK, None, "done")),
    (b"G1 no\r\n", TaggedResponse(b"G1", Status.NO, None, "")),
    (b"G1 BAD What?\r\n", TaggedResponse(b"G1", Status.BAD, None, "What?")),
    (b"* BYE Overloaded\r\n", StatusResponse(Status.BYE, None, "Overloaded")),
    (b"* PREAUTH hello\r\n", StatusResponse(Status.PREAUTH, None, "hello")),
    (b"* OK [ALERT] see {12}\r\n", ok(ResponseCode(Code.ALERT, b"ALERT"), "see {12}")),
    (b"* NO Gr\xc3\xbc\xc3\x9fe\r\n", StatusResponse(Status.NO, None, "Grüße")),
    (b"* OK [MAILBOXID (0F-1)] done\r\n", ok(ResponseCode(Code.MAILBOXID, b"MAILBOXID", "0F-1"))),
    (b"* OK [UIDNEXT 7] done\r\n", ok(ResponseCode(Code.UIDNEXT, b"UIDNEXT", 7))),
    (b"* OK [uidvalidity 4294967295] done\r\n", ok(ResponseCode(Code.UIDVALIDITY, b"UIDVALIDITY", 4294967295))),
    (b"* OK [UNSEEN 3] done\r\n", ok(ResponseCode(Code.UNSEEN, b"UNSEEN", 3))),
    (
        b"* OK [HIGHESTMODSEQ 90060115205545359] done\r\n",
        ok(ResponseCode(Code.HIGHESTMODSEQ, b"HIGHESTMODSEQ", 90060115205545359)),
    ),
    (b"* OK [NOMODSEQ] done\r\n", ok(ResponseCode(Code.NOMODSEQ, b"NOMODSEQ"))),
    (b"* OK [CLOSED] done\r\n", ok(ResponseCode(Code.CLOSED, b"CLOSED"))),
    (
        b"* OK [PERMANENTFLAGS (\\seen $Fwd \\*)] done\r\n",
        ok(ResponseCode(Code.PERMANENTFLAGS, b"PERMANENTFLAGS", ("\\Seen", "$Fwd", "\\*"))),
    ),
    (b"* OK [PERMANENTFLAGS ()] done\r\n", ok(ResponseCode(Code.PERMANENTFLAGS, b"PERMANENTFLAGS", ()))),
    (
        b"* OK [CAPABILITY IMAP4rev1 idle] done\r\n",
        ok(ResponseCode(Code.CAPABILITY, b"CAPABILITY", frozenset({"IMAP4REV1", "IDLE"}))),
    ),
    (
        b"G1 OK [APPENDUID 38505 3955] done\r\n",
        TaggedResponse(
            b"G1",
            Status.OK,
            ResponseCode(Code.APPENDUID, b"APPENDUID", AppendUid(38505, SequenceSet(((3955, 3955),)))),
            "done",
        ),
    ),
    (
        b"* OK [COPYUID 1 304,319:320 3956:3958] done\r\n",
        ok(
            ResponseCode(
                Code.COPYUID,
                b"COPYUID",
                CopyUid(1, SequenceSet(((304, 304), (319, 320))), SequenceSet(((3956, 3958),))),
            )
        ),
    ),
    (
        b'* NO [BADCHARSET (UTF-8 "a]b")] done\r\n',
        StatusResponse(Status.NO, ResponseCode(Code.BADCHARSET, b"BADCHARSET", (b"UTF-8", b"a]b")), "done"),
    ),
    (
        b"* OK [MODIFIED 7,9] done\r\n",
        ok(ResponseCode(Code.MODIFIED, b"MODIFIED", SequenceSet(((7, 7), (9, 9))))),
    ),
    (
        b'* OK [INPROGRESS ("A]1" 454 1000)] done\r\n',
        ok(ResponseCode(Code.INPROGRESS, b"INPROGRESS", InProgress(b"A]1", 454, 1000))),
    ),
    (b"* OK [INPROGRESS] done\r\n", ok(ResponseCode(Code.INPROGRESS, b"INPROGRESS"))),
    (b"* OK [X-NEW some thing] done\r\n", ok(ResponseCode(None, b"X-NEW", b"some thing"))),
    (b"* OK [UIDNEXT many] done\r\n", ok(ResponseCode(Code.UIDNEXT, b"UIDNEXT", b"many"))),
    (b"* OK [COPYUID 1 2] done\r\n", ok(ResponseCode(Code.COPYUID, b"COPYUID", b"1 2"))),
    (b"* OK [no end\r\n", ok(None, "[no end")),
    # capabilities and the like
    (b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", CapabilityData(frozenset({"IMAP4REV1", "AUTH=PLAIN"}))),
    (b"* ENABLED CONDSTORE QRESYNC\r\n", EnabledData(frozenset({"CONDSTORE", "QRESYNC"}))),
    (b"* ENABLED\r\n", EnabledData(frozenset())),
    (b"* ID NIL\r\n", IdData(None)),
    (b'* ID ("Name" "Dovecot" "x" NIL)\r\n', IdData({b"name": b"Dovecot", b"x": None})),
    (
        b'* NAMESPACE (("INBOX." ".")) NIL (("Public" NIL)("a" "/" "X-P" ("v")))\r\n',
        NamespaceData((Namespace(b"INBOX.", b"."),), (), (Namespace(b"Public", None), Namespace(b"a", b"/"))),
    ),
    # mailboxes
    (b"* FLAGS (\\ANSWERED $x)\r\n", FlagsData(("\\Answered", "$x"))),
    (
        b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n',
        ListData(frozenset({"\\hasnochildren", "\\sent"}), b"/", b"Sent"),
    ),
    (b'* LIST () NIL "Sale * now* x"\r\n', ListData(frozenset(), None, b"Sale * now* x")),
    (b'* LIST () "\\\\" "a\\"b\\\\c"\r\n', ListData(frozenset(), b"\\", b'a"b\\c')),
    (b'* LIST () "/" {7}\r\na\r\n{9}"\r\n', ListData(frozenset(), b"/", b'a\r\n{9}"')),
    (b'* LIST () "/" {0}\r\n\r\n', ListData(frozenset(), b"/", b"")),
    (b'* LIST () "/" 0123\r\n', ListData(frozenset(), b"/", b"0123")),
    (b'* LIST () "/" nil\r\n', ListData(frozenset(), b"/", b"nil")),
    (b'* LIST () "/" "a {3}"\r\n', ListData(frozenset(), b"/", b"a {3}")),
    (b'* LIST () "/" a]b ("CHILDINFO" ("SUBSCRIBED"))\r\n', ListData(frozenset(), b"/", b"a]b")),
    (b'* LSUB () "." a.b\r\n', ListData(frozenset(), b".", b"a.b", is_lsub=True)),
    (b'* XLIST (\\Inbox) "/" INBOX\r\n', ListData(frozenset({"\\inbox"}), b"/", b"INBOX")),
    (
        b'* STATUS "a b" (MESSAGES 3 UIDNEXT 8 MAILBOXID (F1) APPENDLIMIT NIL)\r\n',
        StatusData(b"a b", {"MESSAGES": 3, "UIDNEXT": 8}, "F1"),
    ),
    (b"* STATUS x (MAILBOXID (007) MESSAGES 3)\r\n", StatusData(b"x", {"MESSAGES": 3}, "007")),
    (b"* STATUS {3}\r\na b (MESSAGES 3)\r\n", StatusData(b"a b", {"MESSAGES": 3})),
    (b'* QUOTA "" (STORAGE 10 512 MESSAGE 1 2)\r\n', QuotaData(b"", {"STORAGE": (10, 512), "MESSAGE": (1, 2)})),
    (b'* QUOTAROOT INBOX "" r\r\n', QuotaRootData(b"INBOX", (b"", b"r"))),
    # numbers
    (b"* 7 EXISTS\r\n", ExistsData(7)),
    (b"* 0 recent\r\n", RecentData(0)),
    (b"* 3 EXPUNGE\r\n", ExpungeData(3)),
    (b"* VANISHED (EARLIER) 1:3,7\r\n", VanishedData(SequenceSet(((1, 3), (7, 7))), is_earlier=True)),
    (b"* VANISHED 5\r\n", VanishedData(SequenceSet(((5, 5),)))),
    (b"* SEARCH\r\n", SearchData(())),
    (b"* SEARCH 2 84 882\r\n", SearchData((2, 84, 882))),
    (b"* SEARCH 2 84 (MODSEQ 917162500)\r\n", SearchData((2, 84), 917162500)),
    (b"* SORT 5 3 4\r\n", SearchData((5, 3, 4))),
    (
        b'* ESEARCH (TAG "A2") UID MIN 1 MAX 9 COUNT 3 ALL 1,5:9 MODSEQ 12\r\n',
        ESearchData(b"A2", True, 1, 9, 3, SequenceSet(((1, 1), (5, 9))), 12),
    ),
    (b"* ESEARCH\r\n", ESearchData()),
    (b'* ESEARCH (TAG "A2")\r\n', ESearchData(b"A2")),
    # FETCH
    (
        b'* 1 FETCH (UID 3 FLAGS (\\seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" '
        b"RFC822.SIZE 4423 MODSEQ (65402))\r\n",
        FetchData(1, 3, SEEN, 65402, datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))), 4423),
    ),
    (b"* 1 FETCH (FLAGS () UID 3)\r\n", FetchData(1, 3, frozenset())),
    (
        b'* 1 FETCH (INTERNALDATE " 1-Jan-2020 00:00:00 +0000")\r\n',
        FetchData(1, internal_date=datetime(2020, 1, 1, tzinfo=UTC)),
    ),
    (b'* 1 FETCH (INTERNALDATE "nonsense" UID 4)\r\n', FetchData(1, 4)),
    (b"* 1 FETCH (UID 3 FLAGS (a\\b))\r\n", FetchData(1, 3, frozenset({"a\\b"}))),
    (b"* 1 FETCH ()\r\n", FetchData(1)),
    (
        b'* 1 FETCH (UID 3 ENVELOPE ("date" "a \\"quoted\\" :( subject" NIL NIL NIL NIL NIL NIL NIL "<id>"))\r\n',
        FetchData(1, 3, envelope=ENVELOPE),
    ),
    (
        b'* 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1)'
        b'("a" "b" ("n" {2}\r\nx\r) NIL NIL "7BIT" 0) "MIXED"))\r\n',
        FetchData(
            1,
            structure=(
                (b"TEXT", b"PLAIN", None, None, None, b"7BIT", 2, 1),
                (b"a", b"b", (b"n", b"x\r"), None, None, b"7BIT", 0),
                b"MIXED",
            ),
        ),
    ),
    (
        b'* 1 FETCH (BODY[HEADER.FIELDS (Date "From" {2}\r\nto)]<0> {4}\r\nx\r\n BODY[] {0}\r\n body[1.mime] NIL)\r\n',
        FetchData(
            1,
            sections={b"BODY[HEADER.FIELDS (DATE FROM TO)]<0>": b"x\r\n ", b"BODY[]": b"", b"BODY[1.MIME]": None},
        ),
    ),
    (b'* 1 FETCH (BODY[HEADER] "a" UID 2)\r\n', FetchData(1, 2, sections={b"BODY[HEADER]": b"a"})),
    (b"* 1 FETCH (BINARY[1] ~{3}\r\n\0a\0)\r\n", FetchData(1, sections={b"BINARY[1]": b"\0a\0"})),
    (b"* 1 FETCH (BINARY.SIZE[1] 99)\r\n", FetchData(1, others={b"BINARY.SIZE[1]": 99})),
    (b"* 1 FETCH (RFC822 {1}\r\nx)\r\n", FetchData(1, sections={b"RFC822": b"x"})),
    (b"* 1 FETCH (EMAILID (0123) THREADID (nil))\r\n", FetchData(1, email_id="0123", thread_id="nil")),
    (b"* 1 FETCH (EMAILID M1 THREADID T1)\r\n", FetchData(1, email_id="M1", thread_id="T1")),
    (
        b'* 1 FETCH (EMAILID (M6d99) THREADID NIL X-GM-MSGID 127 X-GM-LABELS (\\Inbox "a b"))\r\n',
        FetchData(1, email_id="M6d99", gmail_message_id=127, gmail_labels=(b"\\Inbox", b"a b")),
    ),
    (
        b'* 1 FETCH (X-GM-THRID 18446744073709551615 X-GM-MSGID NIL X-GM-LABELS ("\\\\Sent" NIL 7 {3}\r\na"b))\r\n',
        FetchData(1, gmail_thread_id=(1 << 64) - 1, gmail_labels=(b"\\Sent", b"NIL", b"7", b'a"b')),
    ),
    (
        b"* 1 FETCH (X-GM-LABELS ())\r\n",
        FetchData(1, gmail_labels=()),
    ),
    # unknown
    (b"* XYZZY whatever\r\n", UnknownData(b"XYZZY", b"* XYZZY whatever")),
    (b"* 4 FROB (x)\r\n", UnknownData(b"FROB", b"* 4 FROB (x)")),
]

MALFORMED = [
    b"HTTP/1.1 400 Bad Request\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\r\n",
    b"*\r\n",
    b"* \r\n",
    b"* )(\r\n",
    b"* FLAGS (\\Seen\r\n",
    b"* LIST\r\n",
    b'* LIST () "/" (a)\r\n',
    b"* SEARCH 1 x\r\n",
    b"* VANISHED (EARLIER)\r\n",
    b"* VANISHED 0\r\n",
    b"* ESEARCH ALL x\r\n",
    b"* STATUS INBOX (MESSAGES\r\n",
    b"* STATUS INBOX (MESSAGES (((((1\r\n",
    b"* 1 FETCH (UID x)\r\n",
    b"* 1 FETCH (UID 1\r\n",
    b"* 1 FETCH (BODY[HEADER x)\r\n",
    b'* 1 FETCH (ENVELOPE ("a "b" NIL))\r\n',
    b'* 1 FETCH (ENVELOPE ("unfinished {12}\r\n',
    b"* 1 FETCH (MODSEQ 1 2)\r\n",
    b"* QUOTA x (STORAGE a b)\r\n",
    b"* 1 FETCH (BODYSTRUCTURE %b%b)\r\n" % (b"(" * 300, b")" * 300),
]


@pytest.mark.parametrize(("data", "event"), CASES)
def test_a_response_read_whole_is_its_value(data: bytes, event: Event) -> None:
    assert read(data) == [event]


@pytest.mark.parametrize(("data", "event"), CASES)
def test_a_response_read_octet_by_octet_is_its_value(data: bytes, event: Event) -> None:
    assert read(data, 1) == [event]


@pytest.mark.parametrize(("data", "event"), CASES)
def test_what_follows_a_response_is_left_alone(data: bytes, event: Event) -> None:
    assert read(data + b"* 7 EXISTS\r\n* OK") == [event, ExistsData(7)]


@pytest.mark.parametrize("data", MALFORMED)
def test_a_malformed_response_is_told_and_the_next_one_read(data: bytes) -> None:
    for step in (None, 1):
        first, second = read(data + b"* 7 EXISTS\r\n", step)
        assert isinstance(first, MalformedData)
        assert len(first.line) <= 200
        assert second == ExistsData(7)


def test_an_atom_is_told_from_a_string() -> None:
    (event,) = read(b'* 1 FETCH (X-Y (a "a" 12 "12" NIL "NIL"))\r\n')
    assert isinstance(event, FetchData)
    assert event.others[b"X-Y"] == (b"a", b"a", 12, b"12", None, b"NIL")


def test_fifteen_hundred_fetch_lines_in_one_segment() -> None:
    line = b'* %d FETCH (UID %d FLAGS (\\Seen) ENVELOPE ("d" ":( * 9 EXISTS" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n'
    events = read(b"".join(line % (number, number + 100) for number in range(1, 1501)) + b"* 7 EXISTS\r\n")
    assert [event.uid for event in events if isinstance(event, FetchData)] == list(range(101, 1601))
    assert events[-1] == ExistsData(7)


def test_three_hundred_thousand_uids_in_one_line() -> None:
    (event,) = read(b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 300_001)) + b"\r\n", 65536)
    assert isinstance(event, SearchData)
    assert event.numbers == tuple(range(1, 300_001))


def test_reading_a_long_line_in_small_pieces_takes_linear_time() -> None:
    # Quadratic work on four megabytes in pieces of 64 octets would take minutes.
    (event,) = read(b"* SEARCH " + b"1234567 " * 500_000 + b"\r\n", 64)
    assert isinstance(event, SearchData)
    assert len(event.numbers) == 500_000


class TestStreaming:
    LIMITS = ResponseLimits(stream_octets=10)

    @pytest.mark.parametrize("step", [None, 1, 7])
    @pytest.mark.parametrize(
        "item", [b"BODY[]", b"BODY[]<0>", b"BODY[1.2.MIME]", b"BODY[HEADER.FIELDS (A)]", b"BINARY[1]", b"RFC822"]
    )
    def test_a_large_message_literal_comes_in_chunks(self, item: bytes, step: int | None) -> None:
        content = b"* 1 EXISTS\r\n)\r\n{5}\r\nG1 OK"
        data = b"* 4 FETCH (UID 9 %b {%d}\r\n%b FLAGS (\\Seen))\r\n" % (item, len(content), content)
        events = read(data, step, self.LIMITS)
        assert events[0] == LiteralStart(item, len(content))
        chunks = [event for event in events if isinstance(event, LiteralChunk)]
        assert b"".join(chunk.data for chunk in chunks) == content
        assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert events[-1] == FetchData(4, 9, SEEN, sections={item: StreamedLiteral(len(content))})

    def test_chunks_of_a_large_feed_are_bounded(self) -> None:
        events = read(b"* 4 FETCH (BODY[] {1000000}\r\n" + b"x" * 1_000_000 + b")\r\n")
        chunks = [event for event in events if isinstance(event, LiteralChunk)]
        assert sum(len(chunk.data) for chunk in chunks) == 1_000_000
        assert max(len(chunk.data) for chunk in chunks) == 65536

    @pytest.mark.parametrize(
        "data",
        [
            b'* LIST () "/" {11}\r\nhello world\r\n',
            b"* 1 FETCH (ENVELOPE ({11}\r\nhello world NIL))\r\n",
            b"* 1 FETCH (X-GM-LABELS ({11}\r\nhello world))\r\n",
        ],
    )
    def test_a_literal_that_is_no_message_is_never_streamed(self, data: bytes) -> None:
        (event,) = read(data, None, self.LIMITS)
        assert isinstance(event, (ListData, FetchData))

    def test_a_streamed_message_leaves_nothing_in_the_buffer(self) -> None:
        reader = ResponseReader()
        reader.feed(b"* 4 FETCH (BODY[] {200000000}\r\n")
        assert isinstance(reader.next_event(), LiteralStart)
        for _ in range(50):
            reader.feed(b"x" * 65536)
            while reader.next_event() is not None:
                pass
            assert reader.buffered_octets == 0
        assert not reader.is_between_responses


class TestLimits:
    LIMITS = ResponseLimits(line_octets=100, response_octets=200, nesting=5)

    def test_a_line_without_end_is_refused_early(self) -> None:
        with pytest.raises(ResponseStreamError):
            read(b"* OK " + b"x" * 1000, 10, self.LIMITS)

    def test_a_line_too_long_is_refused(self) -> None:
        with pytest.raises(ResponseStreamError):
            read(b"* OK " + b"x" * 1000 + b"\r\n", None, self.LIMITS)

    def test_a_literal_too_large_is_refused_before_it_is_read(self) -> None:
        with pytest.raises(ResponseStreamError):
            read(b'* LIST () "/" {201}\r\n', None, self.LIMITS)

    def test_many_small_literals_count_together(self) -> None:
        with pytest.raises(ResponseStreamError):
            read(b"* ID (" + b"{90}\r\n" + b"x" * 90 + b" {90}\r\n" + b"x" * 90 + b" {90}\r\n", None, self.LIMITS)

    def test_nesting_is_bounded(self) -> None:
        assert isinstance(read(b"* 1 FETCH (X ((((()))))", None, self.LIMITS), list)
        (event,) = read(b"* 1 FETCH (X (((((())))))))\r\n", None, self.LIMITS)
        assert isinstance(event, MalformedData)

    def test_a_hundred_thousand_open_parentheses_are_no_recursion(self) -> None:
        (event,) = read(b"* 1 FETCH (X " + b"(" * 100_000 + b"\r\n")
        assert isinstance(event, MalformedData)


def test_discarded_input_is_never_read() -> None:
    reader = ResponseReader()
    reader.feed(b"* OK one\r\n* OK [CAPABILITY EVIL] two\r\n* LIST () {3}\r\n")
    assert reader.next_event() == ok(None, "one")
    assert reader.discard_input() > 0
    assert reader.next_event() is None
    assert reader.is_between_responses
    reader.feed(b"* 7 EXISTS\r\n")
    assert reader.next_event() == ExistsData(7)
