"""COPY and MOVE within an account: the flags that only the gateway holds go along, and survive relisting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.api.types import BytesContent
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.mailbox.view import View
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, message, next_changes, running_stack, silence, until_held

OURS = ("\\Answered", "$Forwarded", "later")


def like_gmail() -> MemoryBackend:
    backend = MemoryBackend(Layout.LABELS, has_gmail_ids=True, is_sparse=True, lists_account=True)
    backend.deliver(INBOX, message(1))
    return backend


async def marked(stack: Stack, backend: MemoryBackend) -> View:
    """Return a view of INBOX with one message that has flags of ours."""
    stack.backends["work"] = backend
    await stack.add_account("work")
    view = await stack.open()
    await view.store([1], StoreAction.ADD, OURS)
    view.catch_up(allow_expunge=True)
    return view


def flags(view: View) -> list[set[str]]:
    return [set(row.flags.decode()[1:-1].split()) - {"\\Recent"} for row in view.flag_rows(view.uids)]


@pytest.mark.parametrize("is_move", [False, True])
async def test_flags_that_the_backend_cannot_hold_go_along(stack: Stack, is_move: bool) -> None:
    view = await marked(stack, like_gmail())
    await view.copy([1], "Archive", is_move=is_move)
    archive = await stack.open("Archive")
    assert flags(archive) == [set(OURS)]
    await archive.copy([1], "Sent", is_move=is_move)
    assert flags(await stack.open("Sent")) == [set(OURS)]


async def test_deleted_does_not_go_along(stack: Stack) -> None:
    view = await marked(stack, like_gmail())
    await view.store([1], StoreAction.ADD, ("\\Deleted",))
    await view.copy([1], "Archive", is_move=True)
    assert flags(await stack.open("Archive")) == [set(OURS)]


@pytest.mark.parametrize("is_expired", [False, True])
async def test_flags_that_the_backend_cannot_hold_survive_its_changes(stack: Stack, is_expired: bool) -> None:
    view = await marked(stack, backend := like_gmail())
    if is_expired:
        backend.journal.expire_cursors()
    backend.set_flags(INBOX, backend.messages(INBOX)[0].ident, frozenset({"\\Seen"}))
    await next_changes(view)
    assert flags(view) == [{"\\Seen", *OURS}]
    backend.set_flags(INBOX, backend.messages(INBOX)[0].ident, frozenset())
    await next_changes(view)
    assert flags(view) == [set(OURS)]


async def test_they_survive_a_listing_after_a_restart(tmp_path: Path) -> None:
    backends = {"work": like_gmail()}
    async with running_stack(tmp_path, backends) as stack:
        await marked(stack, backends["work"])
    backends["work"].journal.expire_cursors()
    async with running_stack(tmp_path, backends) as stack:
        backends["work"].deliver(INBOX, message(2))
        view = await stack.open()
        await until_held(view, 2)
        assert flags(view) == [set(OURS), set()]
        assert await stack.check() == []


async def test_a_message_whose_mark_is_being_taken_is_not_expunged_by_who_has_not_heard_of_it(stack: Stack) -> None:
    backend = stack.backends["work"] = MemoryBackend()
    backend.deliver(INBOX, message(1))
    backend.deliver(INBOX, message(2))
    await stack.add_account("work")
    view, other = await stack.open(), await stack.open()
    await view.store([1, 2], StoreAction.ADD, ("\\Deleted",))
    gate = backend.faults.hold(Operation.STORE_FLAGS)
    storing = asyncio.create_task(view.store([1], StoreAction.REMOVE, ("\\Deleted",)))
    await gate.reached()
    expunging = asyncio.create_task(other.expunge())
    await asyncio.sleep(0)
    backend.faults.release(Operation.STORE_FLAGS)
    await storing
    assert (await expunging).removed == [2]
    assert len(backend.messages(INBOX)) == 1


@pytest.mark.parametrize("verb", ["copy", "move", "expunge"])
async def test_what_is_not_found_in_one_mailbox_is_looked_for_in_the_others(stack: Stack, verb: str) -> None:
    backend = await stack.add_account(layout="labels")
    ref = backend.deliver(INBOX, message(1))
    backend.copy(backend.mailbox(INBOX), ref, backend.mailbox(("Archive",)))
    view, archive = await stack.open(), await stack.open("Archive")
    await until_held(view, 1)
    await until_held(archive, 1)
    await silence(stack, backend)
    for path in (INBOX, ("Archive",)):
        backend.remove(path, ref)
    if verb == "expunge":
        await view.expunge([1], only_deleted=False)
    else:
        await view.copy([1], "Drafts", is_move=verb == "move")
    await until_held(archive, 0)
    await until_held(view, 0)


@pytest.mark.parametrize("layout", ["items", "labels"])
async def test_a_message_may_come_back_while_another_is_on_its_way(stack: Stack, layout: str) -> None:
    backend = await stack.add_account(layout=layout)
    backend.deliver(INBOX, message(1))
    view, archive, user = await stack.open(), await stack.open("Archive"), await stack.user()
    await until_held(view, 1)
    gate = backend.faults.hold(Operation.APPEND)
    appending = asyncio.create_task(user.append("Drafts", BytesContent(message(2)), (), None))
    await gate.reached()
    away = await view.copy([1], "Archive", is_move=True)
    # By now it is read that the message has gone from there.
    for one in (view, archive):
        assert await stack.engine().wait_until_read(one.mailbox_id, PATIENT_S)
        one.catch_up(allow_expunge=True)
    back = await archive.copy([uid for _, uid in away.pairs], "INBOX", is_move=True)
    backend.faults.release(Operation.APPEND)
    await appending
    assert await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
    view.catch_up(allow_expunge=True)
    assert list(view.uids) == [uid for _, uid in back.pairs] == [2]
