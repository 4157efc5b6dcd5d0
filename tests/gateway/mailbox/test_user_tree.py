from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from connectors.memory.journal import Watcher
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.service import MailSettings
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts
from tests.stack import PATIENT_S, Stack, message, running_stack


async def names(user: UserMail) -> list[str]:
    return [entry.name for entry in await user.mailboxes() if entry.exists or entry.has_children]


async def test_an_account_that_cannot_be_reached_does_not_hide_the_others(stack: Stack) -> None:
    await stack.add_account("Work", layout="folders")
    home = await stack.add_account("Home", layout="folders")
    user = await stack.user()
    assert "Home/INBOX" in await names(user)
    home.set_offline(True)
    assert "Home/INBOX" in await names(await stack.user())
    assert "Work/INBOX" in await names(await stack.user())


async def _two_accounts_of_which_one_was_never_reached(stack: Stack, first: str, second: str) -> UserMail:
    """Add two accounts; the backend of Away is out of reach from the beginning."""
    away = MemoryBackend()
    away.set_offline(True)
    stack.backends["Away"] = away
    for name in (first, second):
        await stack.add_account(name, layout="folders")
    return await stack.user()


@pytest.mark.parametrize("name", ["Away/INBOX", "Away/Old mail"])
async def test_of_an_account_that_was_never_listed_no_name_is_said_to_be_missing(stack: Stack, name: str) -> None:
    user = await _two_accounts_of_which_one_was_never_reached(stack, "Work", "Away")
    view = await user.open("Work/INBOX", is_read_only=False)
    attempts: list[Awaitable[object]] = [
        user.open(name, is_read_only=True),
        user.status(name),
        user.append(name, BytesContent(message(1)), (), None),
        view.copy([], name, is_move=False),
        user.delete(name),
        user.rename(name, "Away/New"),
        user.subscribe(name, True),
        user.subscribe(name, False),
    ]
    for attempt in attempts:
        with pytest.raises(MailError) as refused:
            await attempt
        assert refused.value.kind is ErrorKind.UNAVAILABLE
    with pytest.raises(MailError) as refused:
        await user.status("Work/Old mail")
    assert refused.value.kind is ErrorKind.NOT_FOUND
    # Once it has been listed, it is known what there is not.
    (unlisted,) = (engine for engine in user.running_engines() if not engine.reader.tree.is_known)
    stack.backends["Away"].set_offline(False)
    user = await stack.user()
    assert await unlisted.reader.tree.progress.wait_past(0, PATIENT_S, lambda: True)
    assert (await user.status("Away/INBOX")).messages == 0
    with pytest.raises(MailError) as refused:
        await user.status("Away/Old mail")
    assert refused.value.kind is ErrorKind.NOT_FOUND


async def test_plain_inbox_is_never_that_of_another_account_than_the_first(stack: Stack) -> None:
    user = await _two_accounts_of_which_one_was_never_reached(stack, "Away", "Work")
    assert (await user.status("Work/INBOX")).messages == 0
    with pytest.raises(MailError) as refused:
        await user.open("INBOX", is_read_only=True)
    assert refused.value.kind is ErrorKind.UNAVAILABLE


async def test_an_account_removed_while_the_server_runs_is_gone_at_the_next_login(stack: Stack) -> None:
    await stack.add_account("Work", layout="folders")
    await stack.add_account("Home", layout="folders")
    await stack.user()
    rows = await stack.store.read(accounts.all_accounts)
    await stack.store.write(lambda tx: accounts.remove_account(tx, rows[1].id))
    user = await stack.user()
    assert "INBOX" in await names(user)
    assert not any(name.startswith("Home/") for name in await names(user))


@pytest.fixture
async def unpushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    """A stack whose backend tells of nothing by itself, and which takes all it knows for old."""
    monkeypatch.setattr(Watcher, "ring", lambda _self, _mailbox: None)
    async with running_stack(tmp_path, mail=MailSettings(fresh_age_s=0.0, fresh_wait_s=PATIENT_S)) as stack:
        yield stack


async def test_mailboxes_made_renamed_and_deleted_elsewhere_show_in_the_next_list(unpushed: Stack) -> None:
    backend = await unpushed.add_account("work", layout="folders")
    user = await unpushed.user()
    before = await names(user)
    backend.create_mailbox(("New", "Below"))
    assert set(await names(user)) == {*before, "New", "New/Below"}
    backend.rename_mailbox(("New",), ("Old",))
    assert set(await names(user)) == {*before, "Old", "Old/Below"}
    backend.delete_mailbox(("Old", "Below"))
    assert set(await names(user)) == {*before, "Old"}


async def test_a_mailbox_made_elsewhere_is_found_by_its_name(unpushed: Stack) -> None:
    backend = await unpushed.add_account("work", layout="folders")
    user = await unpushed.user()
    await names(user)
    backend.create_mailbox(("One",))
    backend.deliver(("One",), message(1))
    assert (await user.status("One")).uidvalidity
    backend.create_mailbox(("Two",))
    backend.deliver(("Two",), message(1))
    assert list((await user.open("Two", is_read_only=False)).uids) == [1]
    backend.create_mailbox(("Three",))
    await user.append("Three", BytesContent(message(2)), (), None)
    backend.create_mailbox(("Four",))
    await user.rename("Four", "Five")
    backend.create_mailbox(("Six",))
    await user.delete("Six")
    assert {"One", "Two", "Three", "Five"} <= set(await names(user))
    assert not {"Four", "Six"} & set(await names(user))


async def test_a_name_that_is_nowhere_is_not_waited_for_where_the_tree_is_fresh(tmp_path: Path) -> None:
    async with running_stack(tmp_path, mail=MailSettings(fresh_age_s=3600.0)) as stack:
        backend = await stack.add_account("work", layout="folders")
        user = await stack.user()
        await names(user)
        asked = backend.faults.calls[Operation.LIST_MAILBOXES]
        for _ in range(3):
            with pytest.raises(MailError):
                await user.status("Nowhere")
            await names(user)
        assert backend.faults.calls[Operation.LIST_MAILBOXES] == asked


async def test_the_list_is_given_at_once_while_the_backend_is_down(unpushed: Stack) -> None:
    backend = await unpushed.add_account("work", layout="folders")
    user = await unpushed.user()
    known = await names(user)
    backend.set_offline(True)
    async with asyncio.timeout(PATIENT_S / 2):
        assert await names(user) == known
        assert await names(user) == known
