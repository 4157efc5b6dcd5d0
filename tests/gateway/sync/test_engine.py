from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, ChangePage, Cursor, MailboxRef, MessageRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.service import MailSettings
from gateway.mailbox.view import View
from gateway.store import accounts, mailboxes
from gateway.store.accounts import AccountState
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.sync.engine import MAX_EXPIRIES, SyncSettings
from gateway.sync.flag_writer import FlagAction
from gateway.sync.hydrate import Prefetch
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, eventually, message, next_changes, running_stack

LAYOUTS = [
    pytest.param({"layout": "folders"}, id="folders"),
    pytest.param({"layout": "folders", "uids": True}, id="uids"),
    pytest.param({"layout": "items"}, id="items"),
    pytest.param({"layout": "labels"}, id="labels"),
    pytest.param({"layout": "labels", "listing": "sparse"}, id="sparse labels"),
]
DAY = datetime(2024, 2, 3, tzinfo=UTC)


async def subjects(view: View) -> dict[int, bytes]:
    """Return the text of each message by UID."""
    found: dict[int, bytes] = {}
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body as body:
                found[row.uid] = await body.read(0, body.size)
    return found


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


async def until_held(view: View, count: int) -> None:
    """Take over changes until the view has so many messages."""

    def held() -> int:
        view.catch_up(allow_expunge=True)
        return len(view.uids)

    await eventually(view, held, lambda number: number == count)


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
