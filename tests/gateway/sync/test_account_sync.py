"""Accounts with one cursor for all their mailboxes: listed whole or one by one, told of the tree or not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.service import MailSettings
from gateway.store import mailboxes, messages
from gateway.store.mailboxes import MailboxRow
from gateway.sync import account_listing, account_sync
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from tests.stack import INBOX, PATIENT_S, Stack, message, next_changes, running_stack, subjects, until_held

NEW = ("New",)
WHOLE: dict[str, Any] = {"layout": "labels", "lists_account": True, "reports_tree": True}
SHAPES = [
    pytest.param({"layout": "labels"}, id="neither"),
    pytest.param({"layout": "labels", "lists_account": True}, id="listed whole"),
    pytest.param({"layout": "labels", "reports_tree": True}, id="told of the tree"),
    pytest.param(WHOLE, id="both"),
]


async def rows_of(stack: Stack) -> dict[tuple[str, ...], MailboxRow]:
    account_id = stack.engine().context.account_id
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
    return {row.path: row for row in rows}


async def read(stack: Stack, path: tuple[str, ...] = INBOX) -> None:
    """Wait for a reading that begins after this."""
    assert await stack.engine().wait_until_read((await rows_of(stack))[path].id, PATIENT_S)


@pytest.mark.parametrize("settings", SHAPES)
async def test_one_reading_serves_every_mailbox_that_waits(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account("work", **settings)
    await stack.open()
    await read(stack)
    rows, engine = await rows_of(stack), stack.engine()
    # What the start has asked for is to be over.
    await asyncio.gather(*(engine.wait_until_read(row.id, PATIENT_S) for row in rows.values()))
    gate = backend.faults.hold(Operation.CHANGES)
    under_way = asyncio.create_task(engine.wait_until_read(rows[INBOX].id, PATIENT_S))
    await gate.reached()
    before = backend.faults.calls[Operation.CHANGES]
    waiting = [asyncio.create_task(engine.wait_until_read(row.id, PATIENT_S)) for row in rows.values()]
    await asyncio.sleep(0)
    backend.faults.release(Operation.CHANGES)
    assert await under_way
    assert all(await asyncio.gather(*waiting))
    # The first mailbox to get its turn may get it before the last has asked.
    assert 1 <= backend.faults.calls[Operation.CHANGES] - before <= 2 < len(rows)


@pytest.mark.parametrize("settings", SHAPES)
async def test_a_message_moved_into_a_mailbox_made_after_the_cursor_is_not_lost(
    stack: Stack, settings: dict[str, Any]
) -> None:
    backend = await stack.add_account("work", **settings)
    refs = [backend.deliver(INBOX, message(number)) for number in range(3)]
    view = await stack.open()
    await until_held(view, 3)
    async for _ in view.fetch(list(view.uids), Needs(envelope=True)):
        pass
    outlined = backend.faults.calls[Operation.OUTLINES]
    gate = backend.faults.hold(Operation.CHANGES)
    made = backend.create_mailbox(NEW)
    backend.move(backend.mailbox(INBOX), refs[1], made)
    await gate.reached()
    backend.faults.release(Operation.CHANGES)
    assert (await next_changes(view)).expunged == [(2, 2)]
    user = await stack.user()
    await stack.engine().freshen_tree(0, PATIENT_S)
    moved = await user.open("New", is_read_only=True)
    await until_held(moved, 1)
    assert await subjects(moved) == {1: message(1)}
    async for _ in moved.fetch([1], Needs(envelope=True)):
        pass
    # The message itself was known all the time.
    assert backend.faults.calls[Operation.OUTLINES] == outlined
    assert await stack.check() == []


async def test_a_message_is_in_the_new_mailbox_before_it_has_left_the_old_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account("work", **WHOLE)
    ref = backend.deliver(INBOX, message(1))
    await until_held(await stack.open(), 1)
    orphans: list[int] = []
    apply = account_listing.apply_page

    async def applying(*args: Any, **more: Any) -> Any:
        applied = await apply(*args, **more)
        orphans.extend(await messages.orphaned_messages(args[0], stack.engine().context.account_id, 10))
        return applied

    monkeypatch.setattr(account_sync, "apply_page", applying)
    backend.move(backend.mailbox(INBOX), ref, backend.create_mailbox(NEW))
    await read(stack)
    assert orphans == []
    assert (await rows_of(stack))[NEW].messages == 1


async def test_a_poll_is_one_question_where_changes_tell_of_the_tree(tmp_path: Path) -> None:
    sync = SyncSettings(prefetch=Prefetch.NONE, poll_interval_s=0.01)
    async with running_stack(tmp_path, sync=sync) as stack:
        backend = await stack.add_account("work", **WHOLE)
        await stack.open()
        calls = backend.faults.calls
        before = calls[Operation.LIST_MAILBOXES], sum(calls.values()) - calls[Operation.CHANGES]
        for _ in range(3):
            gate = backend.faults.hold(Operation.CHANGES)
            await gate.reached()
            backend.faults.release(Operation.CHANGES)
        assert (calls[Operation.LIST_MAILBOXES], sum(calls.values()) - calls[Operation.CHANGES]) == before


async def test_the_tree_is_freshened_by_the_changes_where_they_tell_of_it(stack: Stack) -> None:
    backend = await stack.add_account("work", **WHOLE)
    user = await stack.user()
    await stack.open()
    await read(stack)
    calls = backend.faults.calls
    listed, changes = calls[Operation.LIST_MAILBOXES], calls[Operation.CHANGES]
    await stack.engine().freshen_tree(0, PATIENT_S)
    assert (calls[Operation.LIST_MAILBOXES], calls[Operation.CHANGES]) == (listed, changes + 1)
    await stack.engine().freshen_tree(60, PATIENT_S)
    assert calls[Operation.CHANGES] == changes + 1
    backend.create_mailbox(NEW)
    await stack.engine().freshen_tree(0, PATIENT_S)
    assert "New" in [entry.name for entry in await user.mailboxes()]
    backend.delete_mailbox(NEW)
    await stack.engine().freshen_tree(0, PATIENT_S)
    assert NEW not in await rows_of(stack)


@pytest.mark.parametrize("settings", SHAPES)
async def test_a_new_mailbox_is_listed_alone(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account("work", **settings)
    await stack.open()
    for path in await rows_of(stack):
        await read(stack, path)
    calls = backend.faults.calls
    listings, whole = calls[Operation.LISTING], calls[Operation.LIST_ACCOUNT]
    backend.create_mailbox(NEW)
    await stack.engine().freshen_tree(0, PATIENT_S)
    await read(stack, NEW)
    assert (await rows_of(stack))[NEW].is_listed
    assert (calls[Operation.LISTING], calls[Operation.LIST_ACCOUNT]) == (listings + 1, whole)


async def test_a_page_longer_than_a_transaction_is_applied_in_parts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_sync, "PAGE", 2)
    backend = await stack.add_account("work", **WHOLE)
    refs = [backend.deliver(INBOX, message(number)) for number in range(7)]
    view = await stack.open()
    await until_held(view, 7)
    gate = backend.faults.hold(Operation.CHANGES)
    for ref in refs[:5]:
        backend.remove(INBOX, ref)
    for number in range(7, 12):
        backend.deliver(INBOX, message(number))
    await gate.reached()
    backend.faults.release(Operation.CHANGES)
    await read(stack)
    assert await subjects(await stack.open()) == {uid: message(uid - 1) for uid in range(6, 13)}
    assert await stack.check() == []


@pytest.mark.parametrize("settings", [pytest.param({"layout": "items"}, id="items"), *SHAPES])
async def test_messages_with_lasting_refs_are_read_before_the_mailbox_is(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", **settings)
        backend.deliver(INBOX, message(1))
        await until_held(await stack.open(), 1)
    gate = backend.faults.hold(Operation.CHANGES)
    async with running_stack(tmp_path, backends=stack.backends, mail=MailSettings(fresh_wait_s=0)) as stack:
        view = await stack.open()
        await gate.reached()
        assert await subjects(view) == {1: message(1)}
        backend.faults.release(Operation.CHANGES)


async def test_a_mailbox_that_the_backend_never_lists_is_asked_for_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account("work", layout="labels")
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    await until_held(view, 1)
    tree = MemoryBackend.tree
    monkeypatch.setattr(MemoryBackend, "tree", lambda self: [box for box in tree(self) if box.path != NEW])
    backend.copy(backend.mailbox(INBOX), ref, backend.create_mailbox(NEW))
    await read(stack)
    listed = backend.faults.calls[Operation.LIST_MAILBOXES]
    backend.set_flags(INBOX, ref, frozenset({"\\Seen"}))
    assert len((await next_changes(view)).flagged) == 1
    assert backend.faults.calls[Operation.LIST_MAILBOXES] == listed
