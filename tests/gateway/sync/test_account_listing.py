"""Listing a whole account: once, oldest first, with nothing lost whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.api.types import BytesContent, MessageState
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import AccountListingConnector
from connectors.memory.faults import Operation
from gateway.mailbox.service import MailSettings
from gateway.store import accounts
from gateway.sync import account_listing
from gateway.wire.commands import StoreAction
from tests.gateway.sync.test_account_sync import NEW, WHOLE, read, rows_of
from tests.stack import INBOX, Stack, message, running_stack, subjects, until_held

ARCHIVE = ("Archive",)


def whole_backend(page_size: int = 2) -> MemoryBackend:
    return MemoryBackend(Layout.LABELS, lists_account=True, reports_tree=True, page_size=page_size)


class Halt:
    """Holds a listing back before it hands over page number `at`, which has been read by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        listing = AccountListingConnector.list_account
        halt = self

        async def list_account(self: AccountListingConnector) -> AsyncIterator[Sequence[MessageState]]:
            number = 0
            async for page in listing(self):
                if number == at:
                    halt.reached.set()
                    await halt.released.wait()
                number += 1
                yield page

        monkeypatch.setattr(AccountListingConnector, "list_account", list_account)


async def test_the_first_listing_reads_the_account_once_and_oldest_first(stack: Stack) -> None:
    backend = stack.backends["work"] = whole_backend(3)
    refs = [backend.deliver(INBOX if number % 2 else ARCHIVE, message(number)) for number in range(10)]
    backend.copy(backend.mailbox(INBOX), refs[1], backend.mailbox(ARCHIVE))
    await stack.add_account("work", **WHOLE)
    assert await subjects(await stack.open()) == {uid: message(2 * uid - 1) for uid in range(1, 6)}
    archive = await subjects(await stack.open("Archive"))
    assert list(archive.values()) == [message(number) for number in (0, 1, 2, 4, 6, 8)]
    calls = backend.faults.calls
    assert (calls[Operation.LIST_ACCOUNT], calls[Operation.LISTING]) == (1, 0)
    assert all(row.is_listed for row in (await rows_of(stack)).values())
    assert await stack.check() == []


async def test_a_crash_in_the_middle_of_the_first_listing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = whole_backend()
    backends = {"work": backend}
    refs = [backend.deliver(INBOX, message(number)) for number in range(8)]
    with monkeypatch.context() as patch:
        halt = Halt(patch, 2)
        async with running_stack(tmp_path, backends=backends) as stack:
            await stack.add_account("work", **WHOLE)
            await halt.reached.wait()
            rows = await rows_of(stack)
            assert not any(row.is_listed for row in rows.values())
            assert rows[INBOX].messages == 4
            (account,) = await stack.store.read(accounts.all_accounts)
            assert account.cursor is None
    backend.remove(INBOX, refs[0])
    backend.deliver(INBOX, message(8))
    async with running_stack(tmp_path, backends=backends) as stack:
        assert await subjects(await stack.open()) == {uid: message(uid - 1) for uid in range(2, 10)}
        assert await stack.check() == []


async def test_a_mailbox_is_seen_growing_while_the_account_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = whole_backend()
    for number in range(6):
        backend.deliver(INBOX, message(number))
    halt = Halt(monkeypatch, 2)
    impatient = MailSettings(first_listing_wait_s=0)
    async with running_stack(tmp_path, backends={"work": backend}, mail=impatient) as stack:
        await stack.add_account("work", **WHOLE)
        await halt.reached.wait()
        view = await stack.open()
        assert len(view.uids) == 4
        halt.released.set()
        await until_held(view, 6)


async def test_what_happens_during_the_listing_is_not_lost(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = stack.backends["work"] = whole_backend()
    refs = [backend.deliver(INBOX, message(number)) for number in range(6)]
    halt = Halt(monkeypatch, 1)
    await stack.add_account("work", **WHOLE)
    await halt.reached.wait()
    made, inbox = backend.create_mailbox(NEW), backend.mailbox(INBOX)
    # One listed before, one read and not handed over yet, one not read yet.
    for ref in (refs[0], refs[2], refs[5]):
        backend.move(inbox, ref, made)
    backend.remove(INBOX, refs[1])
    backend.deliver(INBOX, message(6))
    halt.released.set()
    await read(stack)
    await read(stack, NEW)
    assert sorted((await subjects(await stack.open())).values()) == [message(3), message(4), message(6)]
    assert sorted((await subjects(await stack.open("New"))).values()) == [message(0), message(2), message(5)]
    assert await stack.check() == []


async def test_an_expired_cursor_lists_the_account_once_and_keeps_every_uid(stack: Stack) -> None:
    backend = stack.backends["work"] = whole_backend()
    refs = [backend.deliver(INBOX, message(number)) for number in range(6)]
    backend.copy(backend.mailbox(INBOX), refs[0], backend.mailbox(ARCHIVE))
    await stack.add_account("work", **WHOLE)
    view = await stack.open()
    calls = backend.faults.calls
    whole = calls[Operation.LIST_ACCOUNT]
    with pytest.MonkeyPatch.context() as patch:
        # Not a word about it by push either.
        patch.setattr(backend.journal, "watchers", set())
        backend.remove(INBOX, refs[0])
        backend.remove(INBOX, refs[1])
        backend.deliver(INBOX, message(6))
        backend.journal.expire_cursors()
    await read(stack)
    await read(stack)
    await until_held(view, 5)
    assert await subjects(view) == {uid: message(uid - 1) for uid in range(3, 8)}
    assert await subjects(await stack.open("Archive")) == {1: message(0)}
    assert (calls[Operation.LIST_ACCOUNT], calls[Operation.LISTING]) == (whole + 1, 0)
    assert await stack.check() == []


async def test_what_a_listing_leaves_out_keeps_its_uid_if_it_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = stack.backends["work"] = whole_backend()
    refs = [backend.deliver(INBOX, message(number)) for number in range(5)]
    await stack.add_account("work", **WHOLE)
    view = await stack.open()
    listing = AccountListingConnector.list_account

    async def lagging(self: AccountListingConnector) -> AsyncIterator[Sequence[MessageState]]:
        async for page in listing(self):
            yield [state for state in page if state.ref not in refs[2:4]]

    monkeypatch.setattr(AccountListingConnector, "list_account", lagging)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend.journal, "watchers", set())
        backend.remove(INBOX, refs[3])
        backend.journal.expire_cursors()
    await read(stack)
    await read(stack)
    await until_held(view, 4)
    assert await subjects(view) == {uid: message(uid - 1) for uid in (1, 2, 3, 5)}
    assert await stack.check() == []


async def test_a_write_during_the_listing_is_not_undone_and_its_message_asked_for_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = stack.backends["work"] = whole_backend()
    refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
    await stack.add_account("work", **WHOLE)
    view = await stack.open()
    halt = Halt(monkeypatch, 1)
    backend.set_flags(INBOX, refs[3], frozenset({"\\Answered"}))
    backend.journal.expire_cursors()
    await halt.reached.wait()
    states = backend.faults.calls[Operation.STATES]
    # Both are on the page that has been read and is handed over after this.
    await view.store([3], StoreAction.ADD, ["\\Flagged"])
    await view.copy([4], "Archive", is_move=True)
    halt.released.set()
    await read(stack)
    assert backend.faults.calls[Operation.STATES] > states
    rows = view.flag_rows([3])
    assert b"\\Flagged" in rows[0].flags
    await until_held(view, 3)
    archive = await stack.open("Archive")
    assert await subjects(archive) == {1: message(3)}
    assert b"\\Answered" in archive.flag_rows([1])[0].flags
    assert await stack.check() == []


async def test_a_message_made_during_the_listing_is_not_taken_for_gone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = stack.backends["work"] = whole_backend()
    for number in range(4):
        backend.deliver(INBOX, message(number))
    await stack.add_account("work", **WHOLE)
    view = await stack.open()
    halt = Halt(monkeypatch, 1)
    backend.journal.expire_cursors()
    await halt.reached.wait()
    user = await stack.user()
    appended = await user.append("INBOX", BytesContent(message(4)), (), None)
    assert appended.uid == 5
    halt.released.set()
    await read(stack)
    await until_held(view, 5)
    assert await subjects(view) == {uid: message(uid - 1) for uid in range(1, 6)}


async def test_transactions_are_short_however_long_the_pages(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_listing, "PAGE", 3)
    sizes: list[int] = []
    apply = account_listing.apply_page

    async def applying(tx: Any, context: Any, page: Any, *args: Any, **more: Any) -> Any:
        sizes.append(len(page.changed) + len(page.removed))
        return await apply(tx, context, page, *args, **more)

    monkeypatch.setattr(account_listing, "apply_page", applying)
    backend = stack.backends["work"] = whole_backend(100)
    refs = [backend.deliver(INBOX, message(number)) for number in range(10)]
    await stack.add_account("work", **WHOLE)
    view = await stack.open()
    assert await subjects(view) == {uid: message(uid - 1) for uid in range(1, 11)}
    gate = backend.faults.hold(Operation.CHANGES)
    for ref in refs[:7]:
        backend.remove(INBOX, ref)
    backend.journal.expire_cursors()
    await gate.reached()
    backend.faults.release(Operation.CHANGES)
    await until_held(view, 3)
    assert max(sizes) == 3
    assert await stack.check() == []
