from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.imap.fetch_plan import BinaryItem, BodyItem, RowItem, plan
from gateway.mailbox.column_block import Column, ColumnBlock, Texts
from gateway.mailbox.fetch import FetchRow, Needs
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.wire.fetch import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Section, SectionText

HEADER = b"From: a@example.org\r\nSubject: Hi\r\n there\r\nTo: b@example.org\r\n\r\n"
ROW = FetchRow(
    sequence_number=3,
    uid=77,
    flags=b"(\\Seen)",
    modseq=9,
    internal_date=b'"17-Jul-2025 02:44:25 -0700"',
    size=1234,
    envelope=b"(NIL)",
    structure=b'("text" "plain" NIL NIL NIL "7bit" 5 1 NIL NIL NIL NIL)',
    header=HEADER,
    body=None,
    email_id="M6d99",
)
FIELDS = Section(text=SectionText.HEADER_FIELDS, fields=(b"subject",))


def line(*items: FetchItem, with_uid: bool = False, with_modseq: bool = False) -> bytes:
    write_row = plan(items, with_uid=with_uid, with_modseq=with_modseq).row_writer()
    assert write_row is not None
    return write_row(ROW)


@pytest.mark.parametrize(
    ("item", "written"),
    [
        (FetchAttribute.UID, b"UID 77"),
        (FetchAttribute.FLAGS, b"FLAGS (\\Seen)"),
        (FetchAttribute.INTERNALDATE, b'INTERNALDATE "17-Jul-2025 02:44:25 -0700"'),
        (FetchAttribute.RFC822_SIZE, b"RFC822.SIZE 1234"),
        (FetchAttribute.ENVELOPE, b"ENVELOPE (NIL)"),
        (FetchAttribute.BODY, b'BODY ("text" "plain" NIL NIL NIL "7bit" 5 1)'),
        (FetchAttribute.MODSEQ, b"MODSEQ (9)"),
        (FetchAttribute.EMAILID, b"EMAILID (M6d99)"),
        (FetchAttribute.THREADID, b"THREADID NIL"),
        (FetchAttribute.RFC822_HEADER, b"RFC822.HEADER {%d}\r\n%b" % (len(HEADER), HEADER)),
        (BodySection(Section(text=SectionText.HEADER)), b"BODY[HEADER] {%d}\r\n%b" % (len(HEADER), HEADER)),
        (
            BodySection(FIELDS, is_peek=True),
            b"BODY[HEADER.FIELDS (subject)] {23}\r\nSubject: Hi\r\n there\r\n\r\n",
        ),
        (BodySection(FIELDS, (3, 5)), b"BODY[HEADER.FIELDS (subject)]<3> {5}\r\nject:"),
        (BodySection(FIELDS, (900, 5)), b"BODY[HEADER.FIELDS (subject)]<900> {0}\r\n"),
    ],
)
def test_an_item_of_a_row_is_written_under_the_name_it_was_asked_by(item: FetchItem, written: bytes) -> None:
    assert line(item) == b"* 3 FETCH (" + written + b")\r\n"


def test_items_are_answered_in_the_order_asked() -> None:
    assert line(FetchAttribute.RFC822_SIZE, FetchAttribute.FLAGS, FetchAttribute.UID) == (
        b"* 3 FETCH (RFC822.SIZE 1234 FLAGS (\\Seen) UID 77)\r\n"
    )


def test_uid_and_modseq_are_added_once_where_the_command_implies_them() -> None:
    assert line(FetchAttribute.FLAGS, with_uid=True, with_modseq=True) == (
        b"* 3 FETCH (UID 77 FLAGS (\\Seen) MODSEQ (9))\r\n"
    )
    assert line(FetchAttribute.MODSEQ, FetchAttribute.UID, with_uid=True, with_modseq=True) == (
        b"* 3 FETCH (MODSEQ (9) UID 77)\r\n"
    )


@pytest.mark.parametrize(
    ("items", "needs"),
    [
        ([FetchAttribute.UID, FetchAttribute.FLAGS], Needs()),
        ([FetchAttribute.INTERNALDATE], Needs(date=True)),
        ([FetchAttribute.RFC822_SIZE], Needs(size=True)),
        ([FetchAttribute.ENVELOPE], Needs(envelope=True)),
        ([FetchAttribute.BODY], Needs(structure=True)),
        ([FetchAttribute.BODYSTRUCTURE], Needs(structure=True)),
        ([BodySection(FIELDS, is_peek=True)], Needs(header=True)),
        ([FetchAttribute.RFC822_HEADER], Needs(header=True)),
        ([FetchAttribute.THREADID], Needs(object_ids=True)),
        ([BodySection(Section(), is_peek=True)], Needs(body=True)),
        ([BodySection(Section(part=(1,), text=SectionText.HEADER))], Needs(body=True)),
        ([FetchAttribute.RFC822_PEEK], Needs(body=True)),
    ],
)
def test_only_what_is_needed_is_read(items: list[FetchItem], needs: Needs) -> None:
    assert plan(tuple(items), with_uid=True, with_modseq=False).needs == needs


@pytest.mark.parametrize(
    ("item", "marks"),
    [
        (BodySection(Section()), True),
        (BodySection(Section(), is_peek=True), False),
        (BodySection(FIELDS), True),
        (FetchAttribute.RFC822, True),
        (FetchAttribute.RFC822_TEXT, True),
        (FetchAttribute.RFC822_HEADER, False),
        (FetchAttribute.RFC822_PEEK, False),
        (FetchAttribute.BODY, False),
    ],
)
def test_reading_without_peek_marks_as_seen(item: FetchItem, marks: bool) -> None:
    assert plan((item,), with_uid=False, with_modseq=False).marks_seen is marks


def test_outlooks_peek_is_answered_under_the_name_rfc822() -> None:
    (item,) = plan((FetchAttribute.RFC822_PEEK,), with_uid=False, with_modseq=False).items
    assert item == BodyItem(b"RFC822", Section(), None)


def test_a_plan_with_a_body_has_no_row_writer() -> None:
    made = plan((FetchAttribute.UID, BodySection(Section())), with_uid=False, with_modseq=False)
    assert made.row_writer() is None
    assert isinstance(made.items[0], RowItem)
    assert made.items[0].render(ROW) == b"UID 77"


def test_what_is_to_be_decoded_is_cut_out_of_the_body() -> None:
    made = plan((BinarySection((1,), (2, 3)), BinarySize((4,))), with_uid=False, with_modseq=False)
    assert made.items == (
        BinaryItem(b"BINARY[1]<2>", (1,), (2, 3), is_size=False),
        BinaryItem(b"BINARY.SIZE[4]", (4,), None, is_size=True),
    )
    assert made.needs.body
    assert made.columns() is None
    assert made.row_writer() is None


def test_what_was_asked_before_has_the_same_plan() -> None:
    items = (FetchAttribute.FLAGS, BodySection(FIELDS, is_peek=True))
    made = plan(items, with_uid=True, with_modseq=False)
    assert plan((FetchAttribute.FLAGS, BodySection(FIELDS, is_peek=True)), with_uid=True, with_modseq=False) is made
    assert plan(items, with_uid=False, with_modseq=False) != made
    assert plan((FetchAttribute.FLAGS, BodySection(FIELDS)), with_uid=True, with_modseq=False).marks_seen


@pytest.mark.parametrize(
    "item",
    [
        FetchAttribute.ENVELOPE,
        FetchAttribute.BODYSTRUCTURE,
        FetchAttribute.BODY,
        FetchAttribute.RFC822_HEADER,
        BodySection(Section(text=SectionText.HEADER), is_peek=True),
        BodySection(FIELDS, is_peek=True),
        BodySection(FIELDS, (3, 5), is_peek=True),
        BodySection(Section(text=SectionText.HEADER_FIELDS_NOT, fields=(b"to",)), is_peek=True),
    ],
)
def test_a_block_is_written_like_its_rows(item: FetchItem) -> None:
    made = plan((item, FetchAttribute.UID), with_uid=True, with_modseq=False)
    assert made.columns() is not None
    texts = {
        Column.ENVELOPE: [ROW.envelope],
        Column.STRUCTURE: [ROW.structure],
        Column.HEADER: [ROW.header],
        Column.USUAL_HEADER: [ROW.header],
    }
    columns = SimpleNamespace(uids=array("I", [ROW.uid]))
    mailbox = cast(OpenMailbox, SimpleNamespace(columns=columns))
    block = ColumnBlock(mailbox, frozenset(), 3, 0, 1, Texts([1], cast(dict[Column, list[bytes]], texts)))
    assert made.block_writer()(block) == line(item, FetchAttribute.UID, with_uid=True)


@pytest.mark.parametrize(
    ("section", "column"),
    [
        (Section(text=SectionText.HEADER_FIELDS, fields=(b"Subject", b"MESSAGE-ID")), Column.USUAL_HEADER),
        (Section(text=SectionText.HEADER_FIELDS, fields=(b"Subject", b"X-Mailer")), Column.HEADER),
        (Section(text=SectionText.HEADER_FIELDS_NOT, fields=(b"Subject",)), Column.HEADER),
        (Section(text=SectionText.HEADER), Column.HEADER),
    ],
)
def test_usual_fields_are_looked_for_among_the_usual_ones(section: Section, column: Column) -> None:
    assert plan((BodySection(section, is_peek=True),), with_uid=False, with_modseq=False).columns() == (column,)


def test_sections_and_object_ids_are_not_written_in_blocks() -> None:
    for item in (BodySection(Section((1,))), BodySection(Section(text=SectionText.TEXT)), FetchAttribute.EMAILID):
        assert plan((FetchAttribute.UID, item), with_uid=True, with_modseq=False).columns() is None


@pytest.mark.parametrize(
    ("item", "written"),
    [
        (BodySection(Section(), is_peek=True), b"BODY[] {4}\r\na\x80bc"),
        (FetchAttribute.RFC822, b"RFC822 {4}\r\na\x80bc"),
        (FetchAttribute.RFC822_PEEK, b"RFC822 {4}\r\na\x80bc"),
        (BodySection(Section(), (1, 2)), b"BODY[]<1> {2}\r\n\x80b"),
        (BodySection(Section(), (3, 2**62)), b"BODY[]<3> {1}\r\nc"),
        (BodySection(Section(), (7, 1)), b"BODY[]<7> {0}\r\n"),
    ],
)
def test_whole_messages_are_written_in_blocks(item: FetchItem, written: bytes) -> None:
    made = plan((item,), with_uid=False, with_modseq=False)
    assert made.columns() == (Column.BODY,)
    mailbox = cast(OpenMailbox, SimpleNamespace(columns=None))
    block = ColumnBlock(mailbox, frozenset(), 3, 0, 1, Texts([1], {Column.BODY: [b"a\0bc"]}))
    assert made.block_writer()(block) == b"* 3 FETCH (" + written + b")\r\n"


def test_lines_begin_with_the_uid_where_there_are_no_sequence_numbers() -> None:
    asked = (FetchAttribute.UID, FetchAttribute.FLAGS)
    by_uid = plan(asked, with_uid=True, with_modseq=False, is_uid_only=True)
    assert by_uid.line == b"* %d UIDFETCH (UID %d FLAGS %b)\r\n"
    # It is not told twice unasked.
    assert plan(asked[1:], with_uid=True, with_modseq=False, is_uid_only=True).line == b"* %d UIDFETCH (FLAGS %b)\r\n"
