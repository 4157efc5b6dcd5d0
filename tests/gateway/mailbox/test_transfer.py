"""COPY and MOVE: what the copy has in common with its original."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.api.errors import NotFound
from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.wire.commands import StoreAction
from gateway.wire.search import EmailIdIs
from tests.manual_clock import ManualClock
from tests.stack import INBOX, LAYOUTS, SeenOnly, Stack, message, running_stack, until_held


async def email_ids(view: View) -> dict[int, str | None]:
    """Return EMAILID by UID."""
    return {
        row.uid: row.email_id async for block in view.fetch(list(view.uids), Needs(object_ids=True)) for row in block
    }


async def save_dates(view: View) -> list[int]:
    """Return SAVEDATE by UID."""
    return [row.save_date async for block in view.fetch(list(view.uids), Needs()) for row in block]


@pytest.mark.parametrize("is_move", [False, True])
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_copy_has_the_email_id_of_its_original(stack: Stack, settings: dict[str, Any], is_move: bool) -> None:
    backend = await stack.add_account(**settings)
    for number in range(3):
        backend.deliver(INBOX, message(number))
    view, archive = await stack.open(), await stack.open("Archive")
    before = await email_ids(view)
    assert len(set(before.values())) == 3
    outcome = await view.copy([1, 3], "Archive", is_move=is_move)
    await until_held(archive, 2)
    after = await email_ids(archive)
    assert [(before[source], after[copy]) for source, copy in outcome.pairs] == [(before[1],) * 2, (before[3],) * 2]
    for source, copy in outcome.pairs:
        assert await archive.search(EmailIdIs(before[source] or "")) == [copy]


@pytest.mark.parametrize("is_move", [False, True])
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_copy_has_a_save_date_of_its_own(tmp_path: Path, settings: dict[str, Any], is_move: bool) -> None:
    clock = ManualClock()
    start = int(clock.now().timestamp())
    async with running_stack(tmp_path, clock=clock) as stack:
        backend = await stack.add_account(**settings)
        backend.deliver(INBOX, message(1))
        backend.deliver(INBOX, message(2))
        view, archive = await stack.open(), await stack.open("Archive")
        clock.advance(3600)
        await view.copy([1], "Archive", is_move=is_move)
        await until_held(archive, 1)
        assert await save_dates(archive) == [start + 3600]
        # RFC 8514 section 3: the original keeps its own.
        view.catch_up(allow_expunge=True)
        assert await save_dates(view) == [start] * len(view.uids)


async def test_a_copy_that_only_a_reading_finds_has_the_email_id_of_its_original(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders", uids=True)
    backend.deliver(INBOX, message(1))
    view, archive = await stack.open(), await stack.open("Archive")
    before = await email_ids(view)
    gate = backend.faults.hold(Operation.COPY)
    copying = asyncio.create_task(view.copy([1], "Archive", is_move=False))
    await gate.reached()
    # It comes first, so that the copy does not follow on what is known.
    backend.deliver(("Archive",), message(2))
    backend.faults.release(Operation.COPY)
    outcome = await copying
    await until_held(archive, 2)
    assert outcome.pairs == [(1, 2)]
    assert (await email_ids(archive))[2] == before[1]


@pytest.mark.parametrize("is_move", [False, True])
async def test_a_copy_that_only_a_reading_finds_has_the_flags_that_only_we_hold(tmp_path: Path, is_move: bool) -> None:
    async with running_stack(tmp_path, {"work": SeenOnly(has_uids=True)}) as stack:
        backend = await stack.add_account("work", layout="folders", uids=True)
        backend.deliver(INBOX, message(1))
        view, archive = await stack.open(), await stack.open("Archive")
        await view.store([1], StoreAction.ADD, ["\\Flagged", "\\Deleted", "Work"])
        verb = Operation.MOVE if is_move else Operation.COPY
        gate = backend.faults.hold(verb)
        copying = asyncio.create_task(view.copy([1], "Archive", is_move=is_move))
        await gate.reached()
        backend.deliver(("Archive",), message(2))
        backend.faults.release(verb)
        assert (await copying).pairs == [(1, 2)]
        await until_held(archive, 2)
        assert archive.flag_rows([2])[0].flags == b"(\\Flagged Work \\Recent)"


@pytest.mark.parametrize("is_move", [False, True])
async def test_a_copy_in_another_account_has_it_too(stack: Stack, is_move: bool) -> None:
    work = await stack.add_account("Work", layout="folders")
    await stack.add_account("Home", layout="labels")
    work.deliver(INBOX, message(1))
    view, archive = await stack.open("Work/INBOX"), await stack.open("Home/Archive")
    before = await email_ids(view)
    await view.copy([1], "Home/Archive", is_move=is_move)
    await until_held(archive, 1)
    assert await email_ids(archive) == before


async def test_the_ids_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account(layout="items")
        backend.deliver(INBOX, message(1))
        view = await stack.open()
        before = (await email_ids(view), view.object_id)
    async with running_stack(tmp_path, stack.backends) as stack:
        view = await stack.open()
        assert (await email_ids(view), view.object_id) == before


async def two_accounts(stack: Stack, count: int) -> tuple[MemoryBackend, MemoryBackend, View]:
    """Return the backends of two accounts, and a view of the first one's INBOX with so many messages."""
    work = await stack.add_account("Work", layout="folders")
    home = await stack.add_account("Home", layout="folders")
    for number in range(count):
        work.deliver(INBOX, message(number))
    await stack.open("Home/Archive")
    return work, home, await stack.open("Work/INBOX")


async def test_a_mailbox_of_another_account_that_is_gone_is_no_message_that_is_gone(stack: Stack) -> None:
    _, home, view = await two_accounts(stack, 2)
    gate = home.faults.hold(Operation.APPEND)
    copying = asyncio.create_task(view.copy([1, 2], "Home/Archive", is_move=False))
    await gate.reached()
    home.delete_mailbox(("Archive",))
    home.faults.release(Operation.APPEND)
    with pytest.raises(MailError) as refused:
        await copying
    assert refused.value.kind is ErrorKind.NO_SUCH_DESTINATION


async def test_what_does_not_get_into_another_account_as_its_mailbox_goes_is_named(stack: Stack) -> None:
    work, home, view = await two_accounts(stack, 3)
    await read_first(view)
    gate = work.faults.hold(Operation.FETCH)
    moving = asyncio.create_task(view.copy([1, 2, 3], "Home/Archive", is_move=True))
    await gate.reached()
    home.faults.fail_next(Operation.APPEND, NotFound("gone"))
    work.faults.release(Operation.FETCH)
    outcome = await moving
    assert (outcome.pairs, outcome.failed) == ([(1, 1)], [2, 3])
    assert outcome.error is not None
    assert len(work.messages(INBOX)) == 2


async def test_messages_that_are_gone_are_not_copied_into_another_account(stack: Stack) -> None:
    work, home, view = await two_accounts(stack, 1)
    gate = work.faults.hold(Operation.FETCH)
    copying = asyncio.create_task(view.copy([1], "Home/Archive", is_move=False))
    await gate.reached()
    work.remove(INBOX, work.messages(INBOX)[0].ident)
    work.faults.release(Operation.FETCH)
    outcome = await copying
    assert (outcome.pairs, outcome.failed, outcome.error) == ([], [], None)
    assert home.messages(("Archive",)) == []


async def test_what_has_been_moved_to_another_account_is_not_left_as_well_when_the_client_goes(stack: Stack) -> None:
    work, home, view = await two_accounts(stack, 3)
    await read_first(view)
    gate = work.faults.hold(Operation.FETCH)
    moving = asyncio.create_task(view.copy([1, 2, 3], "Home/Archive", is_move=True))
    await gate.reached()
    assert len(home.messages(("Archive",))) == 1
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    work.faults.release(Operation.FETCH)
    assert [one.data for one in work.messages(INBOX)] == [message(1), message(2)]
    assert [one.data for one in home.messages(("Archive",))] == [message(0)]


async def read_first(view: View) -> None:
    """Have the first message at hand, so that the backend is not asked for it again."""
    async for block in view.fetch([1], Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass


async def test_a_mailbox_renamed_while_it_is_copied_to_another_account_is_copied_whole(stack: Stack) -> None:
    work = await stack.add_account("Work", layout="folders", uids=True)
    home = await stack.add_account("Home", layout="folders")
    user = await stack.user()
    await user.create("Work/Box")
    for number in range(3):
        await user.append("Work/Box", BytesContent(message(number)), (), None)
    view = await stack.open("Work/Box")
    gate = home.faults.hold(Operation.APPEND)
    copying = asyncio.create_task(view.copy([1, 2, 3], "Home/Archive", is_move=False))
    await gate.reached()
    await user.rename("Work/Box", "Work/New")
    home.faults.release(Operation.APPEND)
    assert (await copying).pairs == [(1, 1), (2, 2), (3, 3)]
    assert len(work.messages(("New",))) == len(home.messages(("Archive",))) == 3
