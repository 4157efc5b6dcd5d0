"""Who the backend is asked for: sessions that wait, or nobody yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.api.priority import Priority, current_priority
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Faults, Operation
from gateway.mailbox.fetch import Needs
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.wire.commands import StoreAction
from gateway.wire.flags import SEEN
from tests.stack import INBOX, PATIENT_S, Stack, message, next_changes, running_stack, until_held

BACKGROUND, INTERACTIVE = Priority.BACKGROUND, Priority.INTERACTIVE


class Asked:
    """What memory backends were asked for, and with which priority."""

    def __init__(self) -> None:
        self._calls: list[tuple[Operation, Priority]] = []
        self._news = asyncio.Event()

    def note(self, operation: Operation) -> None:
        self._calls.append((operation, current_priority()))
        self._news.set()

    def __getitem__(self, operation: Operation) -> list[Priority]:
        return [priority for asked, priority in self._calls if asked is operation]

    def clear(self) -> None:
        self._calls.clear()

    async def until(self, operation: Operation, count: int) -> list[Priority]:
        """Wait until it was asked for so often, and return the priorities."""
        async with asyncio.timeout(PATIENT_S):
            while len(self[operation]) < count:
                self._news.clear()
                await self._news.wait()
        return self[operation]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    calls = Asked()
    before = Faults.before

    async def noting(self: Faults, operation: Operation) -> None:
        calls.note(operation)
        await before(self, operation)

    monkeypatch.setattr(Faults, "before", noting)
    return calls


@pytest.mark.parametrize("settings", [{}, {"layout": "labels"}, {"layout": "labels", "lists_account": True}])
async def test_first_listings_are_background_work(stack: Stack, asked: Asked, settings: dict[str, Any]) -> None:
    backend = await stack.add_account(**settings)
    if "lists_account" in settings:
        assert await asked.until(Operation.LIST_ACCOUNT, 1) == [BACKGROUND]
    else:
        count = len(backend.mailboxes)
        assert await asked.until(Operation.LISTING, count) == [BACKGROUND] * count


async def test_before_the_tree_is_known_it_is_listed_for_whoever_comes(stack: Stack, asked: Asked) -> None:
    await stack.add_account()
    assert await asked.until(Operation.LIST_MAILBOXES, 1) == [INTERACTIVE]


async def test_a_listing_that_a_session_begins_to_wait_for_hurries(stack: Stack, asked: Asked) -> None:
    backend = MemoryBackend()
    stack.backends["work"] = backend
    gate = backend.faults.hold(Operation.POSITION)
    await stack.add_account()
    await gate.reached()
    engine = stack.engine()
    (row, *_) = await engine.context.rows()
    waiting = asyncio.create_task(engine.wait_until_read(row.id, PATIENT_S))
    await asyncio.sleep(0)
    gate.release()
    assert await waiting
    assert asked[Operation.POSITION][0] is BACKGROUND
    assert asked[Operation.LISTING][0] is INTERACTIVE


async def test_what_a_push_tells_of_is_read_at_once_only_while_somebody_looks(stack: Stack, asked: Asked) -> None:
    backend = await stack.add_account()
    await asked.until(Operation.CHANGES, len(backend.mailboxes))
    asked.clear()
    backend.deliver(INBOX, message(1))
    assert await asked.until(Operation.CHANGES, 1) == [BACKGROUND]
    view = await stack.open()
    await until_held(view, 1)
    asked.clear()
    backend.deliver(INBOX, message(2))
    await next_changes(view)
    assert asked[Operation.CHANGES] == [INTERACTIVE]


async def test_polls_are_background_work_even_while_somebody_looks(tmp_path: Path, asked: Asked) -> None:
    async with running_stack(tmp_path, sync=SyncSettings(Prefetch.NONE, poll_interval_s=0.01)) as stack:
        await stack.add_account()
        await stack.open()
        asked.clear()
        assert set(await asked.until(Operation.LIST_MAILBOXES, 2)) == {BACKGROUND}


async def test_what_sessions_read_and_write_is_interactive_and_prefetching_is_not(tmp_path: Path, asked: Asked) -> None:
    async with running_stack(tmp_path, sync=SyncSettings(Prefetch.HEADERS, poll_interval_s=3600)) as stack:
        backend = MemoryBackend()
        backend.deliver(INBOX, message(1))
        stack.backends["work"] = backend
        await stack.add_account()
        assert await asked.until(Operation.OUTLINES, 1) == [BACKGROUND]
        view = await stack.open()
        async for block in view.fetch([1], Needs(body=True)):
            assert block[0].body is not None
            async with block[0].body:
                pass
        await view.store([1], StoreAction.ADD, (SEEN,))
        assert asked[Operation.FETCH] == asked[Operation.STORE_FLAGS] == [INTERACTIVE]
