from __future__ import annotations

import asyncio

import pytest

from gateway.store import messages
from gateway.store.database import Store
from gateway.sync.learner import Learner
from gateway.sync.open_body import MemoryBody
from tests.stack import INBOX, Stack, message


async def placed_ids(stack: Stack, count: int) -> list[int]:
    backend = await stack.add_account("work", layout="folders")
    for number in range(count):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    return list(view._mailbox.columns.message_ids)


async def test_lessons_that_come_together_are_stored_together(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await placed_ids(stack, 20)
    writes = 0
    original = Store.write

    async def counted(self: Store, body: object) -> object:
        nonlocal writes
        writes += 1
        return await original(self, body)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "write", counted)
    learner = Learner(stack.store)
    await asyncio.gather(*(learner.learn(key, MemoryBody(message(at))) for at, key in enumerate(ids)))
    assert writes < len(ids) // 2
    rows = await stack.store.read(lambda tx: messages.message_rows(tx, ids))
    assert [rows[key].size for key in ids] == [len(message(at)) for at in range(20)]


async def test_a_message_known_in_full_is_not_written_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    (key,) = await placed_ids(stack, 1)
    learner = Learner(stack.store)
    await learner.learn(key, MemoryBody(message(0)))

    async def refused(self: Store, body: object) -> object:
        raise AssertionError("nothing is to be written")

    monkeypatch.setattr(Store, "write", refused)
    await learner.learn(key, MemoryBody(message(0)))
