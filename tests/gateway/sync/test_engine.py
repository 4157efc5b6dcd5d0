from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.store import accounts
from gateway.store.accounts import AccountState
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
    row = await engine.context.row(view.mailbox_id)
    assert row is not None
    with pytest.raises(errors.ConnectorError):
        await engine.reader.resync(row)
    backend.set_offline(False)
    backend.deliver(INBOX, message(1))
    await stack.user()
    assert (await next_changes(view)).exists == 1


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
