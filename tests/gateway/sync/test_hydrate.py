"""Messages whose header the backend does not give alone: single ones, or as at Gmail all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.priority import Priority, current_priority
from connectors.api.types import MailboxRef, MessageContent, MessageRef, Outline
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.errors import MailError
from gateway.mailbox.fetch import FetchRow, Needs
from gateway.mailbox.view import View
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from tests.stack import INBOX, PATIENT_S, Stack, message, running_stack, until_held


def leave_out(monkeypatch: pytest.MonkeyPatch, *left_out: MessageRef) -> None:
    outlines = MemoryConnector.outlines

    async def some(self: MemoryConnector, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        async for outline in outlines(self, mailbox, refs):
            if outline.ref not in left_out:
                yield outline

    monkeypatch.setattr(MemoryConnector, "outlines", some)


async def envelopes(view: View) -> dict[int, bytes | None]:
    return {row.uid: row.envelope async for block in view.fetch(list(view.uids), Needs(envelope=True)) for row in block}


@pytest.mark.parametrize("settings", [{}, {"layout": "labels", "listing": "sparse"}])
async def test_a_message_left_out_of_the_outlines_is_read_whole_and_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    backend = await stack.add_account("work", **settings)
    refs = [backend.deliver(INBOX, message(number)) for number in range(3)]
    view = await stack.open()
    await until_held(view, 3)
    leave_out(monkeypatch, refs[1])
    found = await envelopes(view)
    assert [b"Number %d" % number in (found[number + 1] or b"") for number in range(3)] == [True] * 3
    calls = backend.faults.calls
    assert (calls[Operation.FETCH], calls[Operation.OUTLINES]) == (1, 1)
    assert await envelopes(view) == found
    assert (calls[Operation.FETCH], calls[Operation.OUTLINES]) == (1, 1)
    assert [row.uid async for block in view.fetch([2], Needs(date=True)) for row in block] == [2]
    assert await stack.check() == []


async def test_messages_that_are_gone_are_not_read_one_by_one(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await stack.add_account()
    refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
    view = await stack.open()
    await until_held(view, 4)
    gate = backend.faults.hold(Operation.CHANGES)
    for ref in refs[1:]:
        backend.remove(INBOX, ref)
    await gate.reached()
    found = await envelopes(view)
    assert found[1] is not None
    assert backend.faults.calls[Operation.FETCH] == 0
    backend.faults.release(Operation.CHANGES)
    await until_held(view, 1)


# -- a backend that gives whole messages only --------------------------------------------------------------------------

EVERYTHING = Needs(date=True, size=True, envelope=True, structure=True, header=True)


class Batches:
    """What was asked for by `fetch_many`: the messages of each request, and the priority at its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refs: list[Sequence[MessageRef]] = []
        self.priorities: list[Priority] = []
        self._news = asyncio.Event()
        fetch_many = MemoryConnector.fetch_many

        async def noting(
            connector: MemoryConnector, mailbox: MailboxRef, refs: Sequence[MessageRef]
        ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
            self.refs.append(refs)
            self._news.set()
            async for found in fetch_many(connector, mailbox, refs):
                yield found
            self.priorities.append(current_priority())

        monkeypatch.setattr(MemoryConnector, "fetch_many", noting)

    async def begun(self, count: int) -> None:
        """Wait until there were so many requests."""
        async with asyncio.timeout(PATIENT_S):
            while len(self.refs) < count:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    return Batches(monkeypatch)


def whole_only(count: int, outline_limit: int = 50) -> MemoryBackend:
    backend = MemoryBackend(Layout.LABELS, is_sparse=True, has_outlines=False, outline_limit=outline_limit)
    for number in range(1, count + 1):
        backend.deliver(INBOX, message(number))
    return backend


async def opened(stack: Stack, backend: MemoryBackend) -> View:
    stack.backends["work"] = backend
    await stack.add_account("work")
    return await stack.open()


async def test_the_newest_messages_cost_one_read_each_in_few_requests(stack: Stack, batches: Batches) -> None:
    backend = whole_only(120)
    view = await opened(stack, backend)
    rows = [row async for block in view.fetch(view.uids[-100:], EVERYTHING) for row in block]
    calls = backend.faults.calls
    assert [len(refs) for refs in batches.refs] == [50, 50]
    assert len({ref for refs in batches.refs for ref in refs}) == 100
    assert (calls[Operation.FETCH], calls[Operation.STATES]) == (0, 0)
    assert [row.size for row in rows] == [len(message(number)) for number in range(21, 121)]
    assert all(b"Number %d" % row.uid in (row.envelope or b"") and row.structure for row in rows)
    entries = [view._mailbox.find(row.uid) for row in rows]
    dates = [int(one.internal_date.timestamp()) for one in backend.messages(INBOX)[20:]]
    assert [entry.internal_date for entry in entries if entry] == dates
    again = [row async for block in view.fetch(view.uids[-100:], EVERYTHING) for row in block]
    assert again == rows
    assert len(batches.refs) == 2
    assert await stack.check() == []


async def test_requests_for_the_same_messages_share_one_reading(stack: Stack, batches: Batches) -> None:
    backend = whole_only(10)
    view = await opened(stack, backend)
    gate = backend.faults.hold(Operation.FETCH_MANY)
    first = asyncio.create_task(envelopes(view))
    await gate.reached()
    others = [asyncio.create_task(envelopes(view)) for _ in range(3)]
    body = asyncio.create_task(stack.engine().bodies.learn(view._mailbox.row, *await a_message(stack, view)))
    await asyncio.sleep(0)
    backend.faults.release(Operation.FETCH_MANY)
    found = await first
    assert [await other for other in others] == [found] * 3
    await body
    assert (len(batches.refs), backend.faults.calls[Operation.FETCH]) == (1, 0)


async def a_message(stack: Stack, view: View) -> tuple[int, MessageRef]:
    entry = view._mailbox.find(view.uids[0])
    assert entry is not None
    return entry.message_id, stack.backends["work"].messages(INBOX)[0].ident


async def test_one_message_that_is_refused_leaves_the_others(stack: Stack, batches: Batches) -> None:
    backend = whole_only(3)
    view = await opened(stack, backend)
    backend.faults.fail_next(Operation.FETCH_MANY, errors.Rejected("one of them"))
    backend.faults.fail_next(Operation.FETCH, errors.Rejected("it is this one"))
    found = await envelopes(view)
    assert len(found) == 2
    assert backend.faults.calls[Operation.FETCH] == 3


async def test_a_batch_that_fails_is_not_repeated_message_by_message(stack: Stack, batches: Batches) -> None:
    backend = whole_only(3)
    view = await opened(stack, backend)
    backend.faults.fail_next(Operation.FETCH_MANY, errors.RateLimited("slowly", retry_after_s=9))
    with pytest.raises(MailError):
        await envelopes(view)
    assert backend.faults.calls[Operation.FETCH] == 0
    assert len(await envelopes(view)) == 3


async def test_what_has_gone_meanwhile_is_passed_over(stack: Stack, batches: Batches) -> None:
    backend = whole_only(3)
    view = await opened(stack, backend)
    gate = backend.faults.hold(Operation.CHANGES)
    backend.remove(INBOX, backend.messages(INBOX)[1].ident)
    await gate.reached()
    assert [uid for uid, envelope in (await envelopes(view)).items() if envelope] == [1, 3]
    backend.faults.release(Operation.CHANGES)
    await until_held(view, 2)


@pytest.mark.parametrize("level", [Prefetch.HEADERS, Prefetch.BODIES])
async def test_the_background_reads_in_batches_and_hurries_when_somebody_waits(
    tmp_path: Path, batches: Batches, level: Prefetch
) -> None:
    async with running_stack(tmp_path, sync=SyncSettings(level, poll_interval_s=3600)) as stack:
        backend = whole_only(20, outline_limit=10)
        gate = backend.faults.hold(Operation.FETCH_MANY)
        view = await opened(stack, backend)
        await gate.reached()
        reading = asyncio.create_task(envelopes(view))
        # The session asks for the older half itself, and waits for the one that is being read.
        await batches.begun(2)
        backend.faults.release(Operation.FETCH_MANY)
        assert len(await reading) == 20
        assert sorted(len(refs) for refs in batches.refs) == [10, 10]
        assert backend.faults.calls[Operation.FETCH] == 0
        assert batches.priorities == [Priority.INTERACTIVE] * 2


async def with_inexact_headers(stack: Stack, *, bodies_vary: bool, count: int = 3) -> tuple[View, MemoryBackend]:
    backend = await stack.add_account("work", layout="items", exact_headers=False, bodies_vary=bodies_vary)
    for number in range(1, count + 1):
        backend.deliver(INBOX, message(number))
    return await stack.open(), backend


async def shown(view: View, needs: Needs) -> list[FetchRow]:
    return [row async for block in view.fetch(list(view.uids), needs) for row in block]


@pytest.mark.parametrize("bodies_vary", [False, True])
async def test_envelopes_are_told_from_inexact_headers_and_stay(stack: Stack, bodies_vary: bool) -> None:
    view, backend = await with_inexact_headers(stack, bodies_vary=bodies_vary)
    calls = backend.faults.calls
    told = await shown(view, Needs(envelope=True, date=True))
    assert [b"Number %d" % number in (row.envelope or b"") for number, row in enumerate(told, 1)] == [True] * 3
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == (1, 0, 0)
    read = await shown(view, Needs(header=True))
    assert (calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == (0, 1)
    for number, row in enumerate(read, 1):
        assert (row.header or b"").endswith(message(number)[: message(number).index(b"This")])
    after = await shown(view, Needs(envelope=True, date=True))
    assert [row.envelope for row in after] == [row.envelope for row in told]
    assert calls[Operation.OUTLINES] == 1


@pytest.mark.parametrize("needs", [Needs(header=True), Needs(structure=True), Needs(size=True, envelope=True)])
async def test_what_needs_the_octets_is_read_whole_in_one_request(stack: Stack, needs: Needs) -> None:
    view, backend = await with_inexact_headers(stack, bodies_vary=True)
    assert len(await shown(view, needs)) == 3
    calls = backend.faults.calls
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == (0, 0, 1)
    for number, row in enumerate(await shown(view, Needs(size=True, header=True)), 1):
        text = message(number)[message(number).index(b"This") :]
        assert row.size == len(row.header or b"") + len(text)
    assert calls[Operation.FETCH_MANY] == 1


async def test_headers_read_in_the_background_are_not_shown_as_octets(tmp_path: Path) -> None:
    settings = SyncSettings(prefetch=Prefetch.HEADERS, poll_interval_s=3600)
    async with running_stack(tmp_path, sync=settings) as stack:
        view, backend = await with_inexact_headers(stack, bodies_vary=False, count=1)
        (row,) = await shown(view, Needs(envelope=True, header=True))
        assert row.header == message(1)[: message(1).index(b"This")]
        assert backend.faults.calls[Operation.FETCH] == 1
