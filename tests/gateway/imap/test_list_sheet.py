from __future__ import annotations

import pytest

from gateway.imap.list_sheet import LINES_PER_BLOCK, Line, has_counters_only, sheet_of, status_line
from gateway.store.counters import Counters
from gateway.wire.commands import StatusItem


def counters(mailbox_id: int) -> Counters:
    return Counters(mailbox_id, 1, 1, 10 + mailbox_id, 20, 30, 40, 50, 60 + mailbox_id, 70, 80, "F1")


def test_numbers_are_put_behind_the_lines_of_mailboxes_in_the_order_asked_for() -> None:
    lines = [
        Line("A", b'* LIST () "/" "A"\r\n', 1),
        Line("B", b'* LIST () "/" "B"\r\n', None),
        Line("C", b"* C\r\n", 3),
    ]
    sheet = sheet_of(lines, (StatusItem.UIDNEXT, StatusItem.MESSAGES), utf8=False)
    assert sheet.mailbox_ids == (1, 3)
    (block,) = sheet.blocks
    assert sheet.fill(block, {3: counters(3), 1: counters(1)}) == (
        b'* LIST () "/" "A"\r\n* STATUS "A" (UIDNEXT 61 MESSAGES 11)\r\n'
        b'* LIST () "/" "B"\r\n'
        b'* C\r\n* STATUS "C" (UIDNEXT 63 MESSAGES 13)\r\n'
    )
    with pytest.raises(KeyError):
        sheet.fill(block, {1: counters(1)})


def test_every_counter_is_told_by_its_name() -> None:
    items = (
        StatusItem.MESSAGES,
        StatusItem.UNSEEN,
        StatusItem.DELETED,
        StatusItem.UIDVALIDITY,
        StatusItem.UIDNEXT,
        StatusItem.HIGHESTMODSEQ,
    )
    assert has_counters_only(items)
    sheet = sheet_of([Line("A", b"", 1)], items, utf8=False)
    assert sheet.fill(sheet.blocks[0], {1: counters(1)}) == (
        b'* STATUS "A" (MESSAGES 11 UNSEEN 20 DELETED 30 UIDVALIDITY 50 UIDNEXT 61 HIGHESTMODSEQ 80)\r\n'
    )
    alone = sheet_of([Line("A", b"", 1)], items[:1], utf8=False)
    assert alone.fill(alone.blocks[0], {1: counters(1)}) == b'* STATUS "A" (MESSAGES 11)\r\n'


@pytest.mark.parametrize(
    "item",
    [StatusItem.RECENT, StatusItem.SIZE, StatusItem.MAILBOXID, StatusItem.APPENDLIMIT, StatusItem.DELETED_STORAGE],
)
def test_what_takes_more_than_a_counter_has_no_sheet(item: StatusItem) -> None:
    assert not has_counters_only([StatusItem.MESSAGES, item])


@pytest.mark.parametrize(("utf8", "name"), [(False, b"100%d &APw-"), (True, "100%d ü".encode())])
def test_a_percent_sign_in_a_name_stays_one(utf8: bool, name: bytes) -> None:
    text = b'* LIST () "/" "%b"\r\n' % name
    line = Line("100%d ü", text, 1)
    assert sheet_of([line], (), utf8=utf8).blocks[0].template == text
    sheet = sheet_of([line, Line("%", b"* %s\r\n", None)], (StatusItem.MESSAGES,), utf8=utf8)
    told = sheet.fill(sheet.blocks[0], {1: counters(1)})
    assert told == text + b'* STATUS "%b" (MESSAGES 11)\r\n* %%s\r\n' % name


def test_many_lines_are_several_blocks() -> None:
    lines = [Line(str(number), b"%d\r\n" % number, number) for number in range(2 * LINES_PER_BLOCK + 1)]
    sheet = sheet_of(lines, (), utf8=False)
    assert [block.template.count(b"\n") for block in sheet.blocks] == [LINES_PER_BLOCK, LINES_PER_BLOCK, 1]
    assert b"".join(sheet.fill(block, {}) for block in sheet.blocks) == b"".join(line.text for line in lines)
    assert sheet_of([], (), utf8=False).blocks == ()
    assert sheet_of(lines, (StatusItem.UNSEEN,), utf8=False).mailbox_ids == tuple(range(2 * LINES_PER_BLOCK + 1))


@pytest.mark.parametrize(("utf8", "name"), [(False, b"100%d &APw-"), (True, "100%d ü".encode())])
def test_a_status_by_itself_is_the_line_of_the_sheet(utf8: bool, name: bytes) -> None:
    items = (StatusItem.UIDNEXT, StatusItem.MESSAGES)
    told = b'* STATUS "%b" (UIDNEXT 61 MESSAGES 11)\r\n' % name
    assert status_line("100%d ü", items, counters(1), utf8=utf8) == told
    assert status_line("100%d ü", items[:1], counters(1), utf8=utf8) == told.replace(b" MESSAGES 11", b"")
    sheet = sheet_of([Line("100%d ü", b"", 1)], items, utf8=utf8)
    assert sheet.fill(sheet.blocks[0], {1: counters(1)}) == told
