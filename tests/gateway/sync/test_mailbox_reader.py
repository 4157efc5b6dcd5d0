from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageState
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.mailbox.view import View
from gateway.sync.account_sync import MAX_EXPIRIES
from tests.stack import (
    INBOX,
    LAYOUTS,
    PATIENT_S,
    Stack,
    eventually,
    message,
    next_changes,
    running_stack,
    silence,
    subjects,
    until_held,
)


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_an_expired_cursor_keeps_every_uid(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", **settings)
        refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
        before = await stack.open()
        uidvalidity = before.uidvalidity
    backend.remove(INBOX, refs[0])
    backend.deliver(INBOX, message(9))
    backend.journal.expire_cursors()
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        after = await stack.open()
        assert after.uidvalidity == uidvalidity
        assert await subjects(after) == {2: message(1), 3: message(2), 4: message(3), 5: message(9)}


async def test_voided_uids_make_the_view_defunct_and_give_a_new_uidvalidity(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders", uids=True)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    old = view.uidvalidity
    backend.invalidate_uidvalidity(INBOX)
    assert await eventually(view, lambda: view.is_defunct, bool)
    again = await stack.open()
    assert again.uidvalidity != old
    assert len(again.uids) == 1


async def test_one_mailbox_that_is_refused_does_not_stop_the_others(stack: Stack) -> None:
    backend = stack.backends["work"] = MemoryBackend(Layout.FOLDERS)
    backend.deliver(("Archive",), message(1))
    # INBOX comes first, and is refused for good.
    backend.faults.fail_next(Operation.LISTING, errors.Denied("not yours"))
    await stack.add_account("work", layout="folders")
    view = await stack.open("Archive")
    assert len(view.uids) == 1
    assert stack.engine().context.account.is_open


async def test_one_mailbox_that_cannot_be_read_leaves_the_others_alone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account(layout="folders")
    inbox, archive = await stack.open(), await stack.open("Archive")
    connector = stack.engine().context.account.connector
    opened, bad, changes = backend.faults.calls[Operation.OPEN], backend.mailbox(INBOX).ref, connector.changes

    def changes_of_others(mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        if mailbox == bad:
            raise errors.Unavailable("this one takes too long")
        return changes(mailbox, cursor)

    monkeypatch.setattr(connector, "changes", changes_of_others)
    for number in range(3):
        assert not await stack.engine().wait_until_read(inbox.mailbox_id, PATIENT_S)
        backend.deliver(("Archive",), message(number))
        assert (await next_changes(archive)).exists == number + 1
    assert stack.engine().is_working
    assert backend.faults.calls[Operation.OPEN] == opened


async def test_a_cursor_that_is_always_too_old_does_not_make_it_list_for_ever(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    mailbox_id = (await stack.open()).mailbox_id
    listed = backend.faults.calls[Operation.LISTING]
    backend.faults.fail_next(Operation.CHANGES, *[errors.CursorExpired("always")] * 100)
    async with asyncio.timeout(PATIENT_S):
        while await stack.engine().wait_until_read(mailbox_id, PATIENT_S):
            pass
    assert backend.faults.calls[Operation.LISTING] <= listed + (MAX_EXPIRIES + 1) * len(backend.mailboxes)
    assert stack.engine().is_working


async def test_waiting_for_a_mailbox_is_not_content_with_a_reading_under_way(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    view = await stack.open()
    gate = backend.faults.hold(Operation.CHANGES, is_after=True)
    backend.deliver(INBOX, message(1))
    await gate.reached()
    backend.deliver(INBOX, message(2))
    waiting = asyncio.create_task(stack.engine().wait_until_read(view.mailbox_id, PATIENT_S))
    await asyncio.sleep(0)
    backend.faults.release(Operation.CHANGES, is_after=True)
    assert await waiting
    row = await stack.engine().context.row(view.mailbox_id)
    assert row is not None
    assert row.messages == 2


async def test_a_wait_for_a_mailbox_that_is_gone_ends(stack: Stack) -> None:
    await stack.add_account(layout="folders")
    await stack.open()
    async with asyncio.timeout(PATIENT_S):
        assert not await stack.engine().wait_until_read(4711, 60)
    assert 4711 not in stack.engine().reader.progress


@pytest.mark.parametrize("settings", LAYOUTS[:-1])
async def test_a_mailbox_that_is_listed_but_not_found_does_not_keep_the_backend_busy(
    stack: Stack, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing, is_broken = MemoryConnector.listing, True

    def not_found(self: MemoryConnector, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        if is_broken and self.backend.by_ref(mailbox).path == ("Archive",):
            raise errors.NotFound("no such mailbox")
        return listing(self, mailbox)

    monkeypatch.setattr(MemoryConnector, "listing", not_found)
    backend = await stack.add_account(**settings)
    backend.deliver(("Archive",), message(1))
    await stack.open()
    engine = stack.engine()
    (row,) = [row for row in await engine.context.rows() if row.path == ("Archive",)]
    for _ in range(10):
        assert not await engine.wait_until_read(row.id, PATIENT_S)
    assert backend.faults.calls[Operation.LIST_MAILBOXES] < 10
    is_broken = False
    assert await engine.wait_until_read(row.id, PATIENT_S)
    await until_held(await stack.open("Archive"), 1)


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_the_tree_is_at_rest_once_the_mailboxes_are_read(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account(**settings)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    await silence(stack, backend)
    assert await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
    assert stack.engine().reader.tree.progress.is_at_rest


@pytest.mark.parametrize("broken", [INBOX, ("Archive",)])
async def test_one_mailbox_that_is_refused_does_not_stop_the_others_from_being_listed_anew(
    stack: Stack, broken: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing, is_broken = MemoryConnector.listing, True

    def refused(self: MemoryConnector, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        if is_broken and self.backend.by_ref(mailbox).path == broken:
            raise errors.Denied("not yours")
        return listing(self, mailbox)

    backend = await stack.add_account(layout="labels")
    for path in (INBOX, ("Archive",)):
        backend.deliver(path, message(1))
    views: dict[tuple[str, ...], View] = {INBOX: await stack.open(), ("Archive",): await stack.open("Archive")}
    await silence(stack, backend)
    monkeypatch.setattr(MemoryConnector, "listing", refused)
    for place in views:
        backend.deliver(place, message(2))
    backend.journal.expire_cursors()
    engine = stack.engine()
    for view in views.values():
        engine.demand.request(view.mailbox_id)
    (whole,) = views.keys() - {broken}
    await until_held(views[whole], 2)
    # Once is enough: from then on the changes are read.
    assert await engine.wait_until_read(views[whole].mailbox_id, PATIENT_S)
    listed = backend.faults.calls[Operation.LISTING]
    backend.deliver(whole, message(3))
    assert await engine.wait_until_read(views[whole].mailbox_id, PATIENT_S)
    await until_held(views[whole], 3)
    assert backend.faults.calls[Operation.LISTING] == listed
    assert not await engine.wait_until_read(views[broken].mailbox_id, PATIENT_S)
    is_broken = False
    assert await engine.wait_until_read(views[broken].mailbox_id, PATIENT_S)
    await until_held(views[broken], 2)


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_backend_whose_cursors_are_always_too_old_is_not_kept_busy(
    stack: Stack, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account(**settings)
    backend.deliver(INBOX, message(1))
    view, engine = await stack.open(), stack.engine()
    await until_held(view, 1)
    await silence(stack, backend)
    changes, is_broken = MemoryConnector.changes, True

    def too_old(self: MemoryConnector, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        if is_broken:
            raise errors.CursorExpired("too old")
        return changes(self, mailbox, cursor)

    monkeypatch.setattr(MemoryConnector, "changes", too_old)
    before = backend.faults.calls.copy()
    results = [await engine.wait_until_read(view.mailbox_id, PATIENT_S) for _ in range(8)]
    assert results[-1] is False
    listed = backend.faults.calls - before
    mailboxes = len(await engine.context.rows())
    assert listed[Operation.LISTING] + listed[Operation.LIST_ACCOUNT] <= MAX_EXPIRIES * mailboxes
    is_broken = False
    assert await engine.wait_until_read(view.mailbox_id, PATIENT_S)
    backend.deliver(INBOX, message(2))
    assert await engine.wait_until_read(view.mailbox_id, PATIENT_S)
    await until_held(view, 2)
