from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.api.types import BytesContent, MessageRef
from connectors.memory.faults import Operation
from gateway.errors import MailError
from gateway.mailbox.service import MailSettings
from gateway.store.flags import FlagSet
from gateway.sync.flag_writer import FlagAction
from gateway.wire.commands import StoreAction
from tests.stack import (
    INBOX,
    LAYOUTS,
    Stack,
    message,
    running_stack,
    subjects,
    until_held,
)


async def test_a_store_of_many_messages_is_one_backend_call(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    for number in range(40):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    backend.batch_limit = 500
    before = backend.faults.calls[Operation.STORE_FLAGS]
    await view.store(list(view.uids), StoreAction.ADD, ["\\Seen"])
    assert backend.faults.calls[Operation.STORE_FLAGS] == before + 1


def test_flag_actions_do_not_look_at_case() -> None:
    assert FlagAction.REMOVE.apply(FlagSet.of(["$Label1", "\\Seen"]), ["$label1"]) == FlagSet.of(["\\Seen"])


async def test_a_message_delivered_before_an_append_is_told_before_it(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders", uids=True)
    view = await stack.open()
    gate = backend.faults.hold(Operation.CHANGES)
    backend.deliver(INBOX, message(1))
    await gate.reached()
    appended = asyncio.create_task(
        (await stack.user()).append("INBOX", BytesContent(message(2)), (), datetime(2024, 1, 1, tzinfo=UTC))
    )
    backend.faults.release(Operation.CHANGES)
    assert (await appended).uid == 2
    await until_held(view, 2)
    assert await subjects(view) == {1: message(1), 2: message(2)}
    assert not view.is_defunct


async def test_copies_between_which_another_message_fell_get_their_uids_from_the_backend(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders", uids=True)
    for number in range(2):
        backend.deliver(INBOX, message(number))
    view, archive = await stack.open(), await stack.open("Archive")
    gate = backend.faults.hold(Operation.CHANGES)
    backend.deliver(("Archive",), message(7))
    await gate.reached()
    copying = asyncio.create_task(view.copy([1, 2], "Archive", is_move=True))
    backend.faults.release(Operation.CHANGES)
    assert (await copying).pairs == [(1, 2), (2, 3)]
    await until_held(archive, 3)
    assert await subjects(archive) == {1: message(7), 2: message(0), 3: message(1)}
    assert await stack.check() == []


async def test_after_a_restart_no_uid_is_named_to_the_backend_before_the_mailbox_was_read(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders", uids=True)
        backend.deliver(INBOX, message(1))
        backend.deliver(INBOX, message(2))
        view = await stack.open()
        assert list(view.uids) == [1, 2]
    # While nobody looks, UID 1 comes to name the other message.
    first, second = backend.messages(INBOX)
    assert (first.data, second.data) == (message(1), message(2))
    backend.remove(INBOX, MessageRef("1"))
    backend.invalidate_uidvalidity(INBOX)
    gate = backend.faults.hold(Operation.LIST_MAILBOXES)
    mail = MailSettings(fresh_wait_s=0, first_listing_wait_s=0)
    async with running_stack(tmp_path, backends=stack.backends, mail=mail) as stack:
        view = await stack.open()
        storing = asyncio.create_task(view.store([1], StoreAction.ADD, ["\\Deleted"]))
        await gate.reached()
        backend.faults.release(Operation.LIST_MAILBOXES)
        with pytest.raises(MailError):
            await storing
        assert [one.flags for one in backend.messages(INBOX)] == [frozenset()]


async def test_a_mailbox_renamed_while_it_is_open_can_be_written_to(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders", uids=True)
    user = await stack.user()
    await user.create("Old")
    await user.append("Old", BytesContent(message(1)), (), None)
    view = await stack.open("Old")
    await user.rename("Old", "New")
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert backend.messages(("New",))[0].flags == {"\\Seen"}
    assert not view.is_defunct


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_move_to_the_same_mailbox_loses_nothing(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account(**settings)
    for number in range(2):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    outcome = await view.copy([1], "INBOX", is_move=True)
    assert [source for source, _ in outcome.pairs] == [1]
    view.catch_up(allow_expunge=True)
    found = await subjects(view)
    assert found[outcome.pairs[0][1]] == message(0)
    assert sorted(found.values()) == [message(0), message(1)]
    assert await stack.check() == []


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_move_does_not_carry_the_mark_of_deletion(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account(**settings)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    await view.store([1], StoreAction.ADD, ["\\Deleted", "\\Seen"])
    await view.copy([1], "Archive", is_move=True)
    archive = await stack.open("Archive")
    assert archive.flag_rows(archive.uids)[0].flags == b"(\\Seen \\Recent)"
    assert backend.messages(("Archive",))[0].flags == {"\\Seen"}


async def test_local_flags_survive_when_the_sync_is_quicker_than_the_append(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    view = await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    user = await stack.user()
    appending = asyncio.create_task(user.append("INBOX", BytesContent(message(1)), ["$Label1", "\\Seen"], None))
    await gate.reached()
    await until_held(view, 1)
    backend.faults.release(Operation.APPEND, is_after=True)
    await appending
    await view._mailbox.refresh()
    assert view.flag_rows([1])[0].flags == b"(\\Seen $Label1 \\Recent)"


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_message_that_goes_before_its_append_is_answered_stays_gone(
    stack: Stack, settings: dict[str, Any]
) -> None:
    backend = await stack.add_account(**settings)
    view = await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    user = await stack.user()
    appending = asyncio.create_task(user.append("INBOX", BytesContent(message(1)), (), None))
    await gate.reached()
    await until_held(view, 1)
    backend.remove(INBOX, MessageRef(next(iter(backend.mailbox(INBOX).messages))))
    await until_held(view, 0)
    backend.faults.release(Operation.APPEND, is_after=True)
    await asyncio.gather(appending, return_exceptions=True)
    await view._mailbox.refresh()
    view.catch_up(allow_expunge=True)
    assert list(view.uids) == []
    assert await stack.check() == []


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_client_that_hangs_up_leaves_no_write_half_done(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account(**settings)
    for number in range(4):
        backend.deliver(INBOX, message(number))
    view, other, archive = await stack.open(), await stack.open(), await stack.open("Archive")
    for operation, write in (
        (Operation.STORE_FLAGS, view.store([1], StoreAction.ADD, ["\\Flagged", "\\Deleted"])),
        (Operation.COPY, view.copy([2], "Archive", is_move=False)),
        (Operation.MOVE, view.copy([3], "Archive", is_move=True)),
        (Operation.EXPUNGE, view.expunge([1])),
    ):
        gate = backend.faults.hold(operation, is_after=True)
        writing = asyncio.create_task(write)
        await gate.reached()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        backend.faults.release(operation, is_after=True)
        await asyncio.gather(*stack.engine()._writes)
        await view._mailbox.refresh()
    await until_held(archive, 2)
    await until_held(other, 2)
    assert await subjects(archive) == {1: message(1), 2: message(2)}
    assert await subjects(other) == {2: message(1), 4: message(3)}
    assert await stack.check() == []
