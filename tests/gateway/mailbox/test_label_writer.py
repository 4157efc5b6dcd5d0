from __future__ import annotations

import pytest

from connectors.api import errors
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.label_writer import LabelWriter
from gateway.mailbox.view import View
from gateway.wire.commands import StoreAction
from gateway.wire.gmail import Label, SystemLabel
from tests.stack import INBOX, Stack, message, until_held

ADD, REMOVE, REPLACE = StoreAction.ADD, StoreAction.REMOVE, StoreAction.REPLACE


async def opened(stack: Stack, count: int = 2) -> tuple[MemoryBackend, View]:
    stack.backends["work"] = backend = MemoryBackend(Layout.LABELS, has_gmail_ids=True, is_sparse=True)
    for number in range(1, count + 1):
        backend.deliver(INBOX, message(number))
    await stack.add_account("work")
    return backend, await stack.open()


async def labels(view: View) -> dict[int, list[Label]]:
    return {
        row.uid: list(row.labels) async for block in view.fetch(list(view.uids), Needs(labels=True)) for row in block
    }


async def test_labels_are_added_removed_and_replaced(stack: Stack) -> None:
    backend, view = await opened(stack)
    await view.store_labels([1, 2], ADD, ["Work", SystemLabel.STARRED])
    assert await labels(view) == {1: [SystemLabel.STARRED, "Work"], 2: [SystemLabel.STARRED, "Work"]}
    await view.store_labels([2], REMOVE, ["Work", "Nowhere"])
    assert await labels(view) == {1: [SystemLabel.STARRED, "Work"], 2: [SystemLabel.STARRED]}
    await view.store_labels([1, 2], REPLACE, ["Home", "Work", SystemLabel.INBOX])
    assert await labels(view) == {1: ["Home", "Work"], 2: ["Home", "Work"]}
    assert len(backend.messages(("Work",))) == len(backend.messages(INBOX)) == 2
    assert backend.messages(("Flagged",)) == []
    assert await stack.check() == []


async def test_many_messages_take_one_call_for_each_label(stack: Stack) -> None:
    backend, view = await opened(stack, 30)
    await view.store_labels(list(view.uids), REPLACE, ["Work", "Home"])
    assert backend.faults.calls[Operation.COPY] == 2
    await view.store_labels(list(view.uids), REPLACE, ["Home"])
    assert backend.faults.calls[Operation.EXPUNGE] == 1
    await view.store_labels(list(view.uids), ADD, ["Home"])
    assert backend.faults.calls[Operation.COPY] == 2


async def test_another_session_sees_messages_come_and_go(stack: Stack) -> None:
    _, view = await opened(stack)
    await view.store_labels([1], ADD, ["Work"])
    other = await stack.open("Work")
    assert len(other.uids) == 1
    await view.store_labels([2], ADD, ["Work"])
    assert other.catch_up(allow_expunge=True).exists == 2
    await view.store_labels([1], REMOVE, ["Work"])
    assert other.catch_up(allow_expunge=True).expunged == [(1, 1)]


async def test_the_label_of_the_mailbox_goes_only_by_name(stack: Stack) -> None:
    backend, view = await opened(stack)
    await view.store_labels([1], REPLACE, ["Work"])
    assert len(backend.messages(INBOX)) == 2
    await view.store_labels([1], REMOVE, ["Work", SystemLabel.INBOX])
    assert len(backend.messages(INBOX)) == 1
    assert view.catch_up(allow_expunge=True).expunged == [(1, 1)]


async def test_sent_is_not_taken_by_a_list_of_labels(stack: Stack) -> None:
    _, view = await opened(stack)
    await view.store_labels([1], ADD, [SystemLabel.SENT])
    await view.store_labels([1], REPLACE, [])
    assert (await labels(view))[1] == [SystemLabel.SENT]
    await view.store_labels([1], REMOVE, [SystemLabel.SENT])
    assert (await labels(view))[1] == []


async def test_a_label_that_cannot_be_had_changes_nothing(stack: Stack) -> None:
    backend, view = await opened(stack)
    backend.delete_mailbox(("Important",))
    await stack.engine().wait_until_read(view.mailbox_id, 10)
    await stack.engine().reader.read_tree()
    for label, kind in ((SystemLabel.IMPORTANT, ErrorKind.UNSUPPORTED), ("a//b", ErrorKind.INVALID_NAME)):
        with pytest.raises(MailError) as refused:
            await view.store_labels([1], ADD, ["Work", label])
        assert refused.value.kind is kind
    assert await labels(view) == {1: [], 2: []}
    assert all(mailbox.path != ("Work",) for mailbox in backend.tree())


async def test_what_the_backend_refuses_is_named_and_the_rest_is_done(stack: Stack) -> None:
    backend, view = await opened(stack)
    backend.faults.refused[backend.messages(INBOX)[1].ident] = errors.Denied("not this one")
    outcome = await view.store_labels([1, 2], ADD, ["Work"])
    assert outcome.failed == [2]
    assert outcome.error is not None
    assert outcome.error.kind is ErrorKind.DENIED
    assert await labels(view) == {1: ["Work"], 2: []}


async def test_nothing_more_is_tried_when_the_backend_is_out_of_reach(stack: Stack) -> None:
    backend, view = await opened(stack)
    await view.store_labels([1], ADD, ["Work", "Home"])
    backend.faults.fail_next(Operation.EXPUNGE, errors.Unavailable("lost"))
    outcome = await view.store_labels([1], REMOVE, ["Work", "Home"])
    assert outcome.error is not None
    assert outcome.error.kind is ErrorKind.UNAVAILABLE
    assert backend.faults.calls[Operation.EXPUNGE] == 1
    assert (await labels(view))[1] == ["Home", "Work"]


async def test_messages_that_changed_are_left_alone_if_asked(stack: Stack) -> None:
    _, view = await opened(stack)
    known = view.highestmodseq
    await view.store([1], StoreAction.ADD, ("\\Seen",))
    outcome = await view.store_labels([1, 2], ADD, ["Work"], known)
    assert outcome.modified == [1]
    assert await labels(view) == {1: [], 2: ["Work"]}


async def test_messages_that_are_gone_are_passed_over(stack: Stack) -> None:
    backend, view = await opened(stack)
    other = await stack.open()
    backend.remove(INBOX, backend.messages(INBOX)[0].ident)
    await until_held(other, 1)
    assert len(view.uids) == 2
    outcome = await view.store_labels([1, 2], ADD, ["Work"])
    assert outcome.error is None
    assert len(backend.messages(("Work",))) == 1


async def test_a_mailbox_that_is_open_for_reading_keeps_its_labels(stack: Stack) -> None:
    await opened(stack)
    view = await stack.open(is_read_only=True)
    with pytest.raises(MailError) as refused:
        await view.store_labels([1], ADD, ["Work"])
    assert refused.value.kind is ErrorKind.READ_ONLY


async def test_a_mailbox_renamed_meanwhile_has_the_label_of_its_new_name(stack: Stack) -> None:
    backend, view = await opened(stack)
    await view.store_labels([1, 2], ADD, ["Work"])
    work = await stack.open("Work")
    writer = LabelWriter(stack.engine(), work._mailbox.row)
    await (await stack.user()).rename("Work", "Play")
    columns = work._mailbox.columns
    await writer.store({columns.message_ids[0]: columns.uids[0]}, REMOVE, ["Work"])
    assert len(backend.messages(("Play",))) == 2
    await writer.store({columns.message_ids[0]: columns.uids[0]}, REMOVE, ["Play"])
    assert len(backend.messages(("Play",))) == 1
    assert (writer.failed, writer.error) == (set(), None)
