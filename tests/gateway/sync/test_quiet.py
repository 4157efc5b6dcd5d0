"""What an account at which nothing happens costs the store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.store import placements, tombstones
from gateway.store.database import Transaction
from gateway.sync import sweep as sweeping
from gateway.sync.context import AccountContext
from gateway.sync.sweep import sweep
from gateway.sync.tree import sync_tree
from tests.stack import INBOX, Stack, message


class Writes:
    """Counts the transactions that the test's own task writes."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        task, plain = asyncio.current_task(), stack.store.write

        async def write(body: Any) -> Any:
            if asyncio.current_task() is task:
                self.count += 1
            return await plain(body)

        monkeypatch.setattr(stack.store, "write", write)


@pytest.fixture
async def context(stack: Stack) -> AccountContext:
    backend = await stack.add_account()
    for number in range(5):
        backend.deliver(INBOX, message(number))
    await stack.open()
    return stack.engine().context


async def test_a_tree_that_is_as_it_was_is_not_written(
    stack: Stack, context: AccountContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(stack, monkeypatch)
    before = await sync_tree(context)
    assert writes.count == 0
    stack.backends["work"].create_mailbox(("New",))
    after = await sync_tree(context)
    assert writes.count == 1
    assert {row.path for row in after} - {row.path for row in before} == {("New",)}


async def test_a_sweep_with_nothing_to_forget_writes_nothing(
    stack: Stack, context: AccountContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(stack, monkeypatch)
    await sweep(context, lambda: True)
    assert writes.count == 0


async def test_only_mailboxes_with_too_many_tombstones_are_pruned(
    stack: Stack, context: AccountContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await stack.open()
    await view.expunge(None)
    inbox = view.mailbox_id

    async def add(tx: Transaction) -> None:
        await placements.remove_placements(tx, inbox, [1, 2])
        await placements.remove_placements(tx, inbox, [3])

    await stack.store.write(add)
    assert await stack.store.read(lambda tx: tombstones.count(tx, inbox)) == 3
    monkeypatch.setattr(sweeping, "KEPT_TOMBSTONES", 3)
    writes = Writes(stack, monkeypatch)
    await sweep(context, lambda: False)
    assert writes.count == 0
    monkeypatch.setattr(sweeping, "KEPT_TOMBSTONES", 1)
    await sweep(context, lambda: False)
    assert writes.count == 1
    assert await stack.store.read(lambda tx: tombstones.count(tx, inbox)) == 1
