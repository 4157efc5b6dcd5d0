from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, ChangePage, Cursor, MailboxRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.store import accounts, mailboxes
from gateway.store.accounts import AccountState
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import MAX_EXPIRIES
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.wire.commands import StoreAction
from tests.stack import (
    INBOX,
    LAYOUTS,
    PATIENT_S,
    Stack,
    eventually,
    message,
    next_changes,
    running_stack,
    subjects,
    until_held,
)

DAY = datetime(2024, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_the_first_listing_gives_uids_oldest_first(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account("work", **settings)
    refs = [backend.deliver(INBOX, message(number), internal_date=DAY + timedelta(days=number)) for number in range(5)]
    assert len(refs) == 5
    view = await stack.open()
    assert await subjects(view) == {number + 1: message(number) for number in range(5)}
    assert await stack.check() == []


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_what_happens_outside_is_told_to_an_open_view(stack: Stack, settings: dict[str, Any]) -> None:
    backend = await stack.add_account("work", **settings)
    first, second = backend.deliver(INBOX, message(1)), backend.deliver(INBOX, message(2))
    view = await stack.open()
    backend.deliver(INBOX, message(3))
    assert (await next_changes(view)).exists == 3
    backend.set_flags(INBOX, first, frozenset({"\\Seen"}))
    told = await next_changes(view)
    assert [(row.uid, b"\\Seen" in row.flags) for row in told.flagged] == [(1, True)]
    backend.remove(INBOX, second)
    assert (await next_changes(view)).expunged == [(2, 2)]
    assert await stack.check() == []


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_restart_keeps_uids_and_learns_what_happened_meanwhile(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", **settings)
        refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
        before = await stack.open()
        texts, uidvalidity = await subjects(before), before.uidvalidity
        highest = before.highestmodseq
    backend.remove(INBOX, refs[1])
    backend.deliver(INBOX, message(9))
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        after = await stack.open()
        assert after.uidvalidity == uidvalidity
        assert after.highestmodseq > highest
        assert await subjects(after) == {1: texts[1], 3: texts[3], 4: texts[4], 5: message(9)}
        assert (await after.vanished_since(highest, None)).to_bytes() == b"2"
        assert await stack.check() == []


@pytest.mark.parametrize("settings", LAYOUTS)
async def test_an_expired_cursor_keeps_every_uid(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", **settings)
        refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
        before = await stack.open()
        uidvalidity = before.uidvalidity
    backend.remove(INBOX, refs[0])
    backend.deliver(INBOX, message(9))
    backend.expire_cursors()
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


async def test_replaced_octets_get_a_new_uid(stack: Stack) -> None:
    backend = await stack.add_account(layout="items")
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    assert await subjects(view) == {1: message(1)}
    backend.replace(INBOX, ref, message(2))
    told = await next_changes(view)
    assert told.expunged == [(1, 1)]
    assert await subjects(view) == {2: message(2)}
    assert await stack.check() == []


async def test_a_message_in_two_mailboxes_has_its_flags_told_in_both(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    backend.deliver(INBOX, message(1))
    user = await stack.user()
    view = await user.open("INBOX", is_read_only=False)
    await view.copy([1], "Archive", is_move=False)
    other = await stack.open("Archive")
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert [row.flags for row in (await next_changes(other)).flagged] == [b"(\\Seen \\Recent)"]
    await view.store([1], StoreAction.ADD, ["\\Deleted"])
    assert other.catch_up(allow_expunge=True).is_empty
    assert await stack.check() == []


async def test_a_page_read_before_a_write_does_not_undo_it(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    gate = backend.faults.hold(Operation.CHANGES, is_after=True)
    backend.set_flags(INBOX, ref, frozenset({"\\Answered"}))
    await gate.reached()
    await view.store([1], StoreAction.ADD, ["\\Flagged"])
    backend.faults.release(Operation.CHANGES, is_after=True)
    rows = await eventually(view, lambda: view.flag_rows([1]), lambda rows: b"\\Answered" in rows[0].flags)
    assert b"\\Flagged" in rows[0].flags


async def test_while_the_backend_is_down_reads_go_on_and_writes_are_refused(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    assert await subjects(view) == {1: message(1)}
    backend.set_offline(True)
    assert await subjects(await stack.open()) == {1: message(1)}
    with pytest.raises(MailError) as refused:
        await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert view.flag_rows([1])[0].flags == b"(\\Recent)"


async def test_the_backend_s_return_is_noticed_when_somebody_comes(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    view = await stack.open()
    backend.set_offline(True)
    engine = stack.engine()
    row = await _row(stack)
    with pytest.raises(errors.ConnectorError):
        await engine._resync(row)
    backend.set_offline(False)
    backend.deliver(INBOX, message(1))
    await stack.user()
    assert (await next_changes(view)).exists == 1


async def _row(stack: Stack) -> MailboxRow:
    engine = stack.engine()
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, engine.context.account_id))
    return next(row for row in rows if row.path == INBOX)


async def test_refused_credentials_are_stored_and_told_to_the_user(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account(layout="folders")
        await stack.open()
    backend.faults.fail_next(Operation.OPEN, errors.AuthExpired("the password was changed"))
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        view = await stack.open()
        assert len(view.uids) == 0
        user = await stack.user()
        alert = user.status_alert()
        assert alert is not None
        assert "work" in alert
        (row,) = await stack.store.read(accounts.all_accounts)
        assert (row.state, row.last_error) == (AccountState.NEEDS_LOGIN, "the password was changed")


async def test_mailboxes_made_and_deleted_outside_come_and_go(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    user = await stack.user()
    backend.create_mailbox(("Projects", "2026"))
    stack.engine().request_tree()
    await stack.engine().wait_until_read(1, 5)
    names = [entry.name for entry in await user.mailboxes()]
    assert {"Projects", "Projects/2026"} <= set(names)
    view = await stack.open("Projects/2026")
    backend.delete_mailbox(("Projects", "2026"))
    stack.engine().request_tree()
    assert await eventually(view, lambda: view.is_defunct, bool)


async def test_one_mailbox_that_is_refused_does_not_stop_the_others(stack: Stack) -> None:
    backend = stack.backends["work"] = MemoryBackend(Layout.FOLDERS)
    backend.deliver(("Archive",), message(1))
    # INBOX comes first, and is refused for good.
    backend.faults.fail_next(Operation.LISTING, errors.Denied("not yours"))
    await stack.add_account("work", layout="folders")
    view = await stack.open("Archive")
    assert len(view.uids) == 1
    assert stack.engine().context.account.is_open


async def test_the_background_reads_headers_newest_first(tmp_path: Path) -> None:
    sync = SyncSettings(prefetch=Prefetch.HEADERS, poll_interval_s=3600)
    async with running_stack(tmp_path, sync=sync) as stack:
        backend = await stack.add_account(layout="folders")
        gate = backend.faults.hold(Operation.OUTLINES, is_after=True)
        for number in range(3):
            backend.deliver(INBOX, message(number))
        await stack.open()
        await gate.reached()
        gate.release()
        assert backend.faults.calls[Operation.FETCH] == 0


@pytest.mark.parametrize("error", [errors.NotFound("gone"), errors.Denied("not yours"), errors.Rejected("no")])
async def test_the_background_goes_on_where_one_mailbox_has_a_fault(
    tmp_path: Path, error: errors.ConnectorError
) -> None:
    sync = SyncSettings(prefetch=Prefetch.HEADERS, poll_interval_s=3600)
    async with running_stack(tmp_path, sync=sync) as stack:
        backend = await stack.add_account(layout="folders")
        gate = backend.faults.hold(Operation.OUTLINES)
        backend.faults.fail_next(Operation.OUTLINES, error)
        backend.deliver(INBOX, message(1))
        view = await stack.open()
        await gate.reached()
        before = backend.faults.calls[Operation.LIST_MAILBOXES]
        gate.release()
        backend.deliver(INBOX, message(2))
        await until_held(view, 2)
        assert stack.engine().context.account.health.state is AccountState.ACTIVE
        # A failure of the whole account would have begun anew with the tree.
        assert backend.faults.calls[Operation.LIST_MAILBOXES] == before


async def test_the_synchronisation_goes_on_after_a_failure(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    view = await stack.open()
    for number in range(2):
        for operation in (Operation.CHANGES, Operation.LIST_MAILBOXES):
            backend.faults.fail_next(operation, errors.Unavailable("down"))
        backend.deliver(INBOX, message(number))
        async with asyncio.timeout(PATIENT_S):
            while stack.engine().is_working:
                await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
        stack.engine().retry()
        assert (await next_changes(view)).exists == number + 1


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


async def test_a_listing_of_the_tree_from_before_a_creation_does_not_undo_it(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    user = await stack.user()
    await user.mailboxes()
    gate = backend.faults.hold(Operation.LIST_MAILBOXES, is_after=True)
    stack.engine().request_tree()
    await gate.reached()
    creating = asyncio.create_task(user.create("Projects"))
    await asyncio.sleep(0)
    backend.faults.release(Operation.LIST_MAILBOXES, is_after=True)
    await creating
    before = await user.status("Projects")
    stack.engine().request_tree()
    await user.append("Projects", BytesContent(message(1)), (), None)
    assert (await user.status("Projects")).mailbox_id == before.mailbox_id


async def test_a_cursor_that_is_always_too_old_does_not_make_it_list_for_ever(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    await stack.open()
    listed = backend.faults.calls[Operation.LISTING]
    backend.faults.fail_next(Operation.CHANGES, *[errors.CursorExpired("always")] * 100)
    mailbox_id = (await _row(stack)).id
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
    row = await _row(stack)
    assert row.messages == 2


async def test_a_wait_for_a_mailbox_that_is_gone_ends(stack: Stack) -> None:
    await stack.add_account(layout="folders")
    await stack.open()
    async with asyncio.timeout(PATIENT_S):
        assert not await stack.engine().wait_until_read(4711, 60)
    assert 4711 not in stack.engine()._progress
