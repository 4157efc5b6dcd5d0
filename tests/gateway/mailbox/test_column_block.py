from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.mailbox.column_block import Column, ColumnBlock, Texts, column_block
from gateway.mailbox.columns import UNKNOWN, Columns, Entry
from gateway.mailbox.flag_sets import FlagSets
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.store.flags import FlagSet

UIDS = (3, 5, 8, 9, 12)
HELD = tuple(column for column in Column if not column.is_text)
NONE = Texts()


@pytest.fixture
def mailbox() -> OpenMailbox:
    flag_sets, columns = FlagSets(), Columns()
    for place, uid in enumerate(UIDS):
        flags = FlagSet.of(["\\Seen"] if place % 2 else ["\\Flagged", "work"])
        number = flag_sets.intern(flags.bits, flags.keywords)
        columns.put(Entry(uid, 100 + uid, number, 1000 + place, 50 * uid, 86400 * place, 60 * place, UNKNOWN))
    return cast(OpenMailbox, SimpleNamespace(columns=columns, flag_sets=flag_sets))


def block_of(mailbox: OpenMailbox, *uids: int, known: tuple[int, ...] = UIDS) -> ColumnBlock | None:
    return column_block(mailbox, array("I", known), frozenset(), uids, HELD, NONE)


def test_neighbours_are_one_block(mailbox: OpenMailbox) -> None:
    mailbox.columns.internal_dates[1] = 1_752_720_265
    mailbox.columns.zones[1] = -420
    block = block_of(mailbox, 5, 8, 9)
    assert block is not None
    assert list(block.sequence_numbers) == [2, 3, 4]
    assert list(block.values(Column.UID)) == [5, 8, 9]
    assert list(block.values(Column.MODSEQ)) == [1001, 1002, 1003]
    assert list(block.values(Column.SIZE)) == [250, 400, 450]
    assert block.values(Column.FLAGS) == [b"(\\Seen)", b"(\\Flagged work)", b"(\\Seen)"]
    assert block.values(Column.INTERNAL_DATE)[0] == b'"16-Jul-2025 19:44:25 -0700"'


def test_save_dates_need_not_be_known(mailbox: OpenMailbox) -> None:
    mailbox.columns.save_dates[1] = 1_420_138_253
    block = column_block(mailbox, array("I", UIDS), frozenset(), (5, 8), (Column.SAVE_DATE,), NONE)
    assert block is not None
    assert block.values(Column.SAVE_DATE) == [b'" 1-Jan-2015 18:50:53 +0000"', b"NIL"]


def test_recent_is_shown_of_those_that_are(mailbox: OpenMailbox) -> None:
    block = column_block(mailbox, array("I", UIDS), {8}, (5, 8), (Column.FLAGS,), NONE)
    assert block is not None
    assert block.values(Column.FLAGS) == [b"(\\Seen)", b"(\\Flagged work \\Recent)"]


def test_what_is_no_block_is_told_apart(mailbox: OpenMailbox) -> None:
    assert block_of(mailbox, 5, 9) is None
    assert block_of(mailbox, 5, 7) is None
    assert block_of(mailbox, 12, 13) is None
    # The client has not been told of UID 8, or that UID 10 is gone.
    assert block_of(mailbox, 5, 8, known=(3, 5, 9, 12)) is None
    assert block_of(mailbox, 9, 10, known=(3, 5, 8, 9, 10, 12)) is None


@pytest.mark.parametrize("column", [Column.SIZE, Column.INTERNAL_DATE])
def test_what_has_to_be_found_out_first_is_no_block(mailbox: OpenMailbox, column: Column) -> None:
    mailbox.columns.sizes[2] = mailbox.columns.internal_dates[2] = UNKNOWN
    known = array("I", UIDS)
    assert column_block(mailbox, known, frozenset(), (5, 8), (column,), NONE) is None
    assert column_block(mailbox, known, frozenset(), (3, 5), (column,), NONE) is not None
    assert column_block(mailbox, known, frozenset(), (5, 8), (Column.UID, Column.FLAGS), NONE) is not None


def test_texts_come_with_the_messages_whose_they_are(mailbox: OpenMailbox) -> None:
    texts = Texts((105, 108), {Column.ENVELOPE: (b"(five)", b"(eight)")})
    block = column_block(mailbox, array("I", UIDS), frozenset(), (5, 8), (Column.UID, Column.ENVELOPE), texts)
    assert block is not None
    assert block.values(Column.ENVELOPE) == (b"(five)", b"(eight)")


@pytest.mark.parametrize("message_ids", [(105, 109), (108, 105), (108,), (105, 108, 109)])
def test_texts_of_other_messages_are_not_shown(mailbox: OpenMailbox, message_ids: tuple[int, ...]) -> None:
    texts = Texts(message_ids, {Column.ENVELOPE: [b"()"] * len(message_ids)})
    assert column_block(mailbox, array("I", UIDS), frozenset(), (5, 8), (Column.ENVELOPE,), texts) is None


def test_texts_of_the_first_messages_alone_make_a_shorter_block(mailbox: OpenMailbox) -> None:
    known = array("I", UIDS)
    block = column_block(mailbox, known, frozenset(), (5, 8, 12), (Column.BODY,), Texts((105, 108), {Column.BODY: ()}))
    assert block is not None
    assert list(block.sequence_numbers) == [2, 3]
    block = column_block(mailbox, known, frozenset(), (5, 8, 12), (Column.BODY,), Texts((), {Column.BODY: ()}))
    assert block is not None
    assert len(block) == 0
