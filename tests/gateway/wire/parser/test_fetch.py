from __future__ import annotations

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import Fetch
from gateway.wire.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Preview,
    Section,
    SectionText,
)
from gateway.wire.search import PartialRange
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import parse, refusal

A = FetchAttribute
FAST = (A.FLAGS, A.INTERNALDATE, A.RFC822_SIZE)


def body(
    text: SectionText = SectionText.ALL, *part: int, fields: tuple[bytes, ...] = (), peek: bool = True
) -> BodySection:
    return BodySection(Section(part, text, fields), is_peek=peek)


@pytest.mark.parametrize(
    ("asked", "items"),
    [
        (b"ALL", (*FAST, A.ENVELOPE)),
        (b"fast", FAST),
        (b"FULL", (*FAST, A.ENVELOPE, A.BODY)),
        (b"(FULL)", (*FAST, A.ENVELOPE, A.BODY)),
        (b"FLAGS", (A.FLAGS,)),
        (b"body", (A.BODY,)),
        (b"(UID  FLAGS )", (A.UID, A.FLAGS)),
        (b"(FLAGS UID FLAGS)", (A.FLAGS, A.UID)),
        (b"(BODYSTRUCTURE ENVELOPE MODSEQ)", (A.BODYSTRUCTURE, A.ENVELOPE, A.MODSEQ)),
        (b"(x-gm-msgid X-GM-THRID X-GM-LABELS)", (A.X_GM_MSGID, A.X_GM_THRID, A.X_GM_LABELS)),
        (b"(EMAILID threadid)", (A.EMAILID, A.THREADID)),  # RFC 8474 section 5.3
        (b"RFC822", (A.RFC822,)),
        (b"(RFC822.HEADER RFC822.TEXT)", (A.RFC822_HEADER, A.RFC822_TEXT)),
        (b"(UID RFC822.SIZE RFC822.PEEK)", (A.UID, A.RFC822_SIZE, A.RFC822_PEEK)),
        (b"BODY[]", (body(peek=False),)),
        (b"body.peek[]", (body(),)),
        (b"BODY[HEADER]", (body(SectionText.HEADER, peek=False),)),
        (b"BODY.PEEK[TEXT]", (body(SectionText.TEXT),)),
        (b"BODY.PEEK[4.2.1]", (body(SectionText.ALL, 4, 2, 1),)),
        (b"BODY.PEEK[4.2.2.1]", (body(SectionText.ALL, 4, 2, 2, 1),)),
        (b"BODY.PEEK[4.1.mime]", (body(SectionText.MIME, 4, 1),)),
        (b"BODY.PEEK[3.HEADER]", (body(SectionText.HEADER, 3),)),
        (b"BODY[]<0.2048>", (BodySection(Section(), (0, 2048)),)),
        (b"BODY.PEEK[1]<65536.65536>", (BodySection(Section((1,)), (65536, 65536), is_peek=True),)),
        (
            b"BODY[HEADER.FIELDS (DATE FROM)]",
            (body(SectionText.HEADER_FIELDS, fields=(b"DATE", b"FROM"), peek=False),),
        ),
        (
            b'(FLAGS BODY.PEEK[1.2.header.fields.not ("X-Y" {2+}\r\nTo )])',
            (A.FLAGS, body(SectionText.HEADER_FIELDS_NOT, 1, 2, fields=(b"X-Y", b"To"))),
        ),
        (b"BINARY[1.2]", (BinarySection((1, 2)),)),
        (b"BINARY.PEEK[]<10.20>", (BinarySection((), (10, 20), is_peek=True),)),
        (b"(SAVEDATE)", (A.SAVEDATE,)),  # RFC 8514 section 4.2
        (b"(RFC822.SIZE PREVIEW)", (A.RFC822_SIZE, Preview())),  # RFC 8970 section 5
        (b"(ENVELOPE PREVIEW (LAZY))", (A.ENVELOPE, Preview(is_lazy=True))),
        (b"preview (lazy)", (Preview(is_lazy=True),)),
        (b"(PREVIEW (LAZY LAZY) UID PREVIEW)", (Preview(is_lazy=True), A.UID, Preview())),
        (b"(BINARY.SIZE[3])", (BinarySize((3,)),)),
    ],
)
def test_items(asked: bytes, items: tuple[FetchItem, ...]) -> None:
    assert parse(b"FETCH 2:4 " + asked) == Fetch(SequenceSet.parse(b"2:4"), False, items)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"fetch 1 FLAGS", Fetch(SequenceSet.parse(b"1"), False, (A.FLAGS,))),
        (b"UID FETCH 4:*,2 (FLAGS)", Fetch(SequenceSet.parse(b"4:*,2"), True, (A.FLAGS,))),
        (b"UID FETCH $ UID", Fetch(SequenceSet.parse(b"$"), True, (A.UID,))),
        (
            b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)",  # RFC 7162 section 3.1.4.1
            Fetch(SequenceSet.parse(b"1:*"), True, (A.FLAGS,), changed_since=12345),
        ),
        (
            b"UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",  # RFC 7162 section 3.2.6
            Fetch(SequenceSet.parse(b"300:500"), True, (A.FLAGS,), changed_since=12345, vanished=True),
        ),
        (
            b"UID FETCH 1:* FLAGS (vanished changedsince 0)",
            Fetch(SequenceSet.parse(b"1:*"), True, (A.FLAGS,), changed_since=0, vanished=True),
        ),
        (
            b"UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-3)",  # RFC 9394 section 3.3
            Fetch(SequenceSet.parse(b"25900:26600"), True, (A.UID, A.FLAGS), partial=PartialRange(-1, -3)),
        ),
        (
            b"UID FETCH 1:* FLAGS (PARTIAL 1:5 CHANGEDSINCE 98305)",  # RFC 9394 section 3.4
            Fetch(SequenceSet.parse(b"1:*"), True, (A.FLAGS,), 98305, partial=PartialRange(1, 5)),
        ),
        (
            b"FETCH 1:* FLAGS (CHANGEDSINCE 98305 partial 1:5)",
            Fetch(SequenceSet.parse(b"1:*"), False, (A.FLAGS,), 98305, partial=PartialRange(1, 5)),
        ),
        (
            b"FETCH 1 PREVIEW (CHANGEDSINCE 7)",
            Fetch(SequenceSet.parse(b"1"), False, (Preview(),), changed_since=7),
        ),
        (
            b"FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 7)",
            Fetch(SequenceSet.parse(b"1"), False, (Preview(is_lazy=True),), changed_since=7),
        ),
        (
            b"FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775807) ",
            Fetch(SequenceSet.parse(b"1"), False, (A.FLAGS,), (1 << 63) - 1),
        ),
    ],
)
def test_forms(line: bytes, command: Fetch) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"FETCH",
        b"FETCH 1",
        b"FETCH 1 ",
        b"FETCH 0 FLAGS",
        b"FETCH a FLAGS",
        b"FETCH 1,,2 FLAGS",
        b"FETCH 4294967296 FLAGS",
        b"FETCH 1 ()",
        b"FETCH 1 (FLAGS",
        b"FETCH 1 FLAGS)",
        b"FETCH 1 FLAGS UID",
        b"FETCH 1 FOO",
        b"FETCH 1 X-GM-FOO",
        b"FETCH 1 X-GM-LABELS[]",
        b"FETCH 1 FLAGS[1]",
        b"FETCH 1 BODY[",
        b"FETCH 1 BODY[FOO]",
        b"FETCH 1 BODY[MIME]",
        b"FETCH 1 BODY[0]",
        b"FETCH 1 BODY[1.]",
        b"FETCH 1 BODY[1.0]",
        b"FETCH 1 BODY[.1]",
        b"FETCH 1 BODY[1 ]x",
        b"FETCH 1 BODY[HEADER.FIELDS]",
        b"FETCH 1 BODY[HEADER.FIELDS ()]",
        b"FETCH 1 BODY[HEADER.FIELDS(From)]",
        b"FETCH 1 BODY[]<0>",
        b"FETCH 1 BODY[]<0.0>",
        b"FETCH 1 BODY[]<-1.5>",
        b"FETCH 1 BODY[]<9223372036854775808.1>",
        b"FETCH 1 BODY.PEEK",
        b"UID FETCH 1:* FLAGS (PARTIAL)",
        b"UID FETCH 1:* FLAGS (PARTIAL 1:*)",
        b"UID FETCH 1:* FLAGS (PARTIAL 1:-2)",
        b"UID FETCH 1:* FLAGS (PARTIAL 1:2 PARTIAL 3:4)",
        b"UID FETCH 1:* FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        b"FETCH 1 SAVEDATE[]",
        b"FETCH 1 PREVIEW[]",
        b"FETCH 1 PREVIEW ()",
        b"FETCH 1 (PREVIEW ())",
        b"FETCH 1 (PREVIEW (FUZZY))",
        b"FETCH 1 (PREVIEW(LAZY))",
        b"FETCH 1 (FLAGS (LAZY))",
        b"FETCH 1 BINARY",
        b"FETCH 1 BINARY[HEADER]",
        b"FETCH 1 BINARY.SIZE[1]<0.1>",
        b"FETCH 1 (FLAGSUID)",
        b"FETCH 1 (FLAGS(UID))",
        b"FETCH 1 FLAGS ()",
        b"FETCH 1 FLAGS (FOO 1)",
        b"FETCH 1 FLAGS (CHANGEDSINCE)",
        b"FETCH 1 FLAGS (CHANGEDSINCE x)",
        b"FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        b"UID FETCH 1 FLAGS (VANISHED)",
        b"UID FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
    ],
)
def test_wrong_fetch_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
