"""Ids: their forms, and that they can be read again."""

from __future__ import annotations

import pytest

from tests.fakes.graph.ids import Ids, MessageId


def test_an_immutable_id_has_72_characters_and_is_read_again() -> None:
    ids = Ids("user@example.com")
    text = ids.message(12345)
    assert len(text) == 72
    assert ids.read_message(text) == MessageId(12345)


def test_a_classic_id_is_long_and_tells_the_move() -> None:
    ids = Ids("user@example.com")
    text = ids.classic(12345, 7, 3)
    assert len(text) == 152
    assert ids.read_message(text) == MessageId(12345, 7, 3)
    assert text != ids.classic(12345, 7, 4)


def test_ids_of_folders_and_attachments_are_read_again() -> None:
    ids = Ids("user@example.com")
    assert ids.read_folder(ids.folder(9)) == 9
    assert ids.read_attachment(ids.attachment(5, 2)) == (5, 2)


def test_ids_of_one_kind_or_mailbox_are_none_of_another() -> None:
    ids, others = Ids("user@example.com"), Ids("other@example.com")
    assert ids.read_message(others.message(1)) is None
    assert ids.read_folder(others.folder(1)) is None
    assert ids.read_message(ids.folder(1)) is None
    assert ids.read_folder(ids.classic(1, 1, 1)) is None
    assert ids.read_message(ids.message(1).swapcase()) is None


@pytest.mark.parametrize("text", ["", "x", "AAMk", "A" * 72, "A" * 120, "A" * 152, "ä" * 72])
def test_what_is_no_id_is_not_read(text: str) -> None:
    ids = Ids("user@example.com")
    assert ids.read_message(text) is None
    assert ids.read_folder(text) is None
    assert ids.read_attachment(text) is None
