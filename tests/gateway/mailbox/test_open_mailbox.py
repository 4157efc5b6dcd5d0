from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gateway.mailbox import open_mailbox
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.store.database import Store
from gateway.store.errors import StoreError
from tests.stack import INBOX, Stack, message, until_held


async def test_changes_that_could_not_be_read_are_read_later(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody tells of them a second time."""
    backend = await stack.add_account("work", layout="folders")
    view = await stack.open()
    monkeypatch.setattr(open_mailbox, "RETRY_S", 0.0)
    store = _Failing(view._mailbox._store, times=3)
    monkeypatch.setattr(view._mailbox, "_store", store)
    backend.deliver(INBOX, message(0))
    await until_held(view, 1)
    assert store.left == 0
    reports = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(reports) == 3
    assert not any(record.exc_info for record in reports)


async def test_all_who_open_a_mailbox_at_about_the_same_time_share_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what one of them writes is not in line for the others when it is acknowledged."""
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, message(0))
    view = await stack.open()
    mailbox_id = view.mailbox_id
    await stack.service.forget_account(view.account_id)
    later: list[asyncio.Task[OpenMailbox]] = []
    load = OpenMailbox.load

    async def opened_after(turns: int) -> OpenMailbox:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await stack.service.open_mailbox(mailbox_id)

    async def load_while_others_come(mailbox: OpenMailbox) -> None:
        await load(mailbox)
        if not later:
            later.extend(asyncio.create_task(opened_after(turns)) for turns in range(1, 8))

    monkeypatch.setattr(OpenMailbox, "load", load_while_others_come)
    first = await stack.service.open_mailbox(mailbox_id)
    assert {id(mailbox) for mailbox in await asyncio.gather(*later)} == {id(first)}
    assert stack.service.open_mailboxes == 1


class _Failing:
    """A store of which only the reading of many rows fails, and that only so many times."""

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read_bulk(self, work: Any) -> Any:
        if self.left:
            self.left -= 1
            raise StoreError("no more files can be opened")
        return await self._store.read_bulk(work)
