"""Finding out the labels of many messages by the lists of all labels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import Unavailable
from connectors.api.types import MessageRef
from connectors.gmail.lists import labels_by_lists, telling
from connectors.gmail.mail import Mail
from tests.connectors.gmail.stage import Stage, staged


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        made.fake.new_label("Work")
        made.fake.new_label("Play")
        yield made


def mail_of(stage: Stage) -> Mail:
    return stage.connector._opened()


def shown(labels: frozenset[str]) -> frozenset[str]:
    return labels - {"CATEGORY_SOCIAL"}


async def test_the_labels_are_those_that_messages_have(stage: Stage) -> None:
    mail = mail_of(stage)
    tree = await mail.read_tree()
    kinds = [(), ("INBOX", "UNREAD"), ("Label_1", "STARRED"), ("TRASH", "Label_2"), ("SPAM",), ("CATEGORY_SOCIAL",)]
    refs = [ref for kind in kinds for ref in stage.fill(10, *kind)]
    gone = MessageRef("123")
    stage.clear()
    found = await labels_by_lists(mail, telling(tree), [*refs, gone])
    assert found == {ref: shown(stage.has(ref)) for ref in refs} | {gone: frozenset()}
    assert not stage.calls("messages.get")


async def test_of_some_labels_only_those_are_told(stage: Stage) -> None:
    refs = stage.fill(3, "INBOX", "STARRED") + stage.fill(3, "INBOX", "UNREAD")
    stage.clear()
    starred = frozenset({"STARRED"})
    found = await labels_by_lists(mail_of(stage), ("STARRED", "DRAFT"), refs)
    assert found == {ref: starred & stage.has(ref) for ref in refs}
    assert stage.units == 2 * (1 + 5)


async def test_few_messages_are_not_worth_it_and_nothing_is_asked(stage: Stage) -> None:
    mail = mail_of(stage)
    tree = await mail.read_tree()
    stage.clear()
    assert await labels_by_lists(mail, telling(tree), stage.fill(len(telling(tree)) * 6 // 20)) is None
    assert stage.units == 0


async def test_long_lists_are_not_read_for_few_messages(stage: Stage) -> None:
    mail = mail_of(stage)
    tree = await mail.read_tree()
    stage.fill(6000, "Label_1", "UNREAD")
    stage.clear()
    assert await labels_by_lists(mail, telling(tree), stage.fill(len(telling(tree)) * 6 // 20 + 1, "Label_2")) is None
    assert stage.units == len(telling(tree))


async def test_a_label_that_was_just_deleted_has_no_list(stage: Stage) -> None:
    mail = mail_of(stage)
    tree = await mail.read_tree()
    refs = stage.fill(20, "Label_1", "Label_2")
    stage.fake.delete_label("Label_2")
    assert await labels_by_lists(mail, telling(tree), refs) == dict.fromkeys(refs, frozenset({"Label_1"}))


async def test_a_list_that_fails_is_not_taken_for_an_empty_one(stage: Stage) -> None:
    mail = mail_of(stage)
    tree = await mail.read_tree()
    refs = stage.fill(20, "Label_1")
    stage.fake.fail_next("gmail.users.messages.list", times=60, status=500)
    with pytest.raises(Unavailable):
        await labels_by_lists(mail, telling(tree), refs)
