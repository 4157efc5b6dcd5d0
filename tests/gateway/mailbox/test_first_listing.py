"""What is shown of a mailbox while it is listed for the first time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from connectors.api.types import MailboxRef, MessageState
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.service import MailSettings
from gateway.store import mailboxes
from gateway.store.listed import insert_listed
from gateway.sync.engine import AccountEngine
from tests.stack import INBOX, message, running_stack, until_held

WAITS_FOR_NOTHING = MailSettings(growing_wait_s=0, first_listing_wait_s=0)


def five(*, has_uids: bool = False) -> dict[str, MemoryBackend]:
    """Return a backend with five messages in INBOX, listed in pages of two."""
    layout = Layout.FOLDERS if has_uids else Layout.LABELS
    backend = MemoryBackend(layout=layout, has_uids=has_uids, page_size=2)
    for number in range(5):
        backend.deliver(INBOX, message(number))
    return {"work": backend}


class Halt:
    """Stops the listing before its last page until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        plain = MemoryConnector.listing

        async def listing(connector: MemoryConnector, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
            pages = [page async for page in plain(connector, mailbox)]
            for page in pages[:-1]:
                yield page
            if len(pages) > 1:
                self.reached.set()
                await self.released.wait()
            for page in pages[-1:]:
                yield page

        monkeypatch.setattr(MemoryConnector, "listing", listing)


async def test_a_mailbox_whose_uids_are_ours_is_seen_growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Halt(monkeypatch)
    async with running_stack(tmp_path, five(), mail=MailSettings(growing_wait_s=0)) as stack:
        await stack.add_account()
        view = await stack.open()
        await until_held(view, 4)
        halt.released.set()
        await until_held(view, 5)
        assert list(view.uids) == [1, 2, 3, 4, 5]


async def test_a_mailbox_with_uids_that_pass_through_is_never_shown_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halt = Halt(monkeypatch)
    async with running_stack(tmp_path, five(has_uids=True), mail=WAITS_FOR_NOTHING) as stack:
        await stack.add_account(layout="folders", uids=True)
        await halt.reached.wait()
        with pytest.raises(MailError) as caught:
            await stack.open()
        assert caught.value.kind is ErrorKind.UNAVAILABLE
        halt.released.set()
        assert await stack.engine().wait_until_read(1, 10)
        assert list((await stack.open()).uids) == [1, 2, 3, 4, 5]


async def test_nor_are_figures_told_of_a_part_of_it_or_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halt = Halt(monkeypatch)
    async with running_stack(tmp_path, five(has_uids=True), mail=WAITS_FOR_NOTHING) as stack:
        await stack.add_account(layout="folders", uids=True)
        await halt.reached.wait()
        user = await stack.user()
        with pytest.raises(MailError) as caught:
            await user.status("INBOX")
        assert caught.value.kind is ErrorKind.UNAVAILABLE
        assert await user.statuses(["INBOX"]) == {}
        halt.released.set()
        assert await stack.engine().wait_until_read(1, 10)
        assert (await user.status("INBOX")).messages == 5
        assert (await user.statuses(["INBOX"]))["INBOX"].messages == 5


async def test_figures_of_a_mailbox_whose_uids_are_ours_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Halt(monkeypatch)
    async with running_stack(tmp_path, five(), mail=WAITS_FOR_NOTHING) as stack:
        await stack.add_account()
        await halt.reached.wait()
        user = await stack.user()
        assert (await user.status("INBOX")).messages < 5
        halt.released.set()
        assert await stack.engine().wait_until_read(1, 10)
        assert (await user.status("INBOX")).messages == 5


async def test_no_figures_are_told_of_what_was_never_listed_while_the_backend_is_down(tmp_path: Path) -> None:
    backends = five()
    async with running_stack(tmp_path, backends) as stack:
        await stack.add_account()
        user = await stack.user()
        (row,) = [row for name, row in (await user.tree()).rows() if name == "INBOX"]
        assert await stack.engine().wait_until_read(row.id, 10)
    backends["work"].set_offline(True)
    async with running_stack(tmp_path, backends, mail=WAITS_FOR_NOTHING) as stack:
        await stack.store.write(lambda tx: mailboxes.set_mailbox_cursor(tx, row.id, None, is_listed=False))
        await stack.service.start()
        user = await stack.user()
        with pytest.raises(MailError) as caught:
            await user.status("INBOX")
        assert caught.value.kind is ErrorKind.UNAVAILABLE
        assert await user.statuses(["INBOX"]) == {}


async def test_such_a_mailbox_is_waited_for_as_long_as_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Halt(monkeypatch)
    async with running_stack(tmp_path, five(has_uids=True)) as stack:
        await stack.add_account(layout="folders", uids=True)
        grows = [True, True, True, False]
        waits: list[float] = []

        async def wait_until_read(engine: AccountEngine, mailbox_id: int, timeout_s: float) -> bool:
            waits.append(timeout_s)
            if grows.pop(0):
                row = (f"x{len(waits)}", None, 0, "", None, None, None, 0)
                await engine.context.store.write(lambda tx: insert_listed(tx, 1, mailbox_id, mailbox_id, [row], 0))
            return False

        await stack.engine().wait_for_tree(10)
        rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, 1))
        assert not any(row.is_listed for row in rows if row.path == INBOX)
        monkeypatch.setattr(AccountEngine, "wait_until_read", wait_until_read)
        with pytest.raises(MailError):
            await stack.open()
        settings = MailSettings()
        assert waits == [settings.growing_wait_s, *[settings.first_listing_wait_s] * 3]
