"""What is on record of appends, and that nothing is stored before it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.api.abilities import NewMessage
from connectors.api.types import BytesContent, MailboxRef, MessageState
from gateway.store import intents
from gateway.store.database import Transaction
from gateway.store.errors import StoreError
from gateway.sync.append_intents import STORED, AppendIntents, Upload, all_portrayed, portrayed
from gateway.sync.appended import AppendedOctets
from tests.gateway.sync.appending import DATE, Preparing, append, appending_stack, open_intents
from tests.stack import INBOX, Stack, message


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with appending_stack(tmp_path, is_prepared=True) as running:
        yield running


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Future[None]]:
    """What the connector was handed messages with, each time."""
    queue: asyncio.Queue[Future[None]] = asyncio.Queue()
    original = Preparing.append_by_leave

    async def append_by_leave(
        self: Preparing, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
    ) -> Sequence[MessageState]:
        queue.put_nowait(leave)
        return await original(self, mailbox, messages, leave)

    monkeypatch.setattr(Preparing, "append_by_leave", append_by_leave)
    return queue


@contextmanager
def busy_disk(stack: Stack) -> Iterator[None]:
    """Let the store's writer have something else to do."""
    release = threading.Event()

    async def body(tx: Transaction) -> None:
        release.wait()

    writing = asyncio.ensure_future(stack.store.write(body))
    try:
        yield
    finally:
        release.set()
    assert not writing.cancelled()


async def test_nothing_is_stored_before_it_is_on_record(stack: Stack, handed_over: asyncio.Queue[Future[None]]) -> None:
    backend = await stack.add_account("work")
    await stack.open()
    with busy_disk(stack):
        appending = asyncio.create_task(append(stack))
        leave = await handed_over.get()
        assert not leave.done()
        assert backend.messages(INBOX) == []
    assert await appending == 1
    assert leave.result() is None
    assert await open_intents(stack) == []


async def test_a_client_that_goes_before_it_is_on_record_leaves_nothing(
    stack: Stack, handed_over: asyncio.Queue[Future[None]]
) -> None:
    backend = await stack.add_account("work")
    await stack.open()
    with busy_disk(stack):
        appending = asyncio.create_task(append(stack))
        leave = await handed_over.get()
        appending.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(appending, return_exceptions=True)
    assert appending.cancelled()
    assert leave.cancelled() or leave.exception() is not None
    await asyncio.gather(*stack.engine()._writes)
    assert backend.messages(INBOX) == []
    assert await open_intents(stack) == []
    assert await append(stack) == 1


async def test_what_cannot_be_put_on_record_is_not_stored(
    stack: Stack, handed_over: asyncio.Queue[Future[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account("work")
    await stack.open()

    async def record(*_: object) -> int:
        raise StoreError("is full", source="test")

    with monkeypatch.context() as patched:
        patched.setattr(intents, "record", record)
        with pytest.raises(StoreError, match="is full"):
            await append(stack)
    assert (await handed_over.get()).exception() is not None
    assert backend.messages(INBOX) == []
    assert await append(stack) == 1


async def test_what_is_pending_is_what_the_store_has(stack: Stack) -> None:
    await stack.add_account("work")
    await stack.open()
    row = await (await stack.user()).row("INBOX")
    context = stack.engine().context
    record = AppendIntents(context, AppendedOctets(context))
    likeness = await portrayed(BytesContent(message(1)))
    upload = Upload(BytesContent(message(1)), (), DATE)
    first, second = await record.record(row, [(likeness, upload)] * 2)
    assert await record.pending() == await open_intents(stack) == [first, second]
    await record.answered(second, 7)
    assert [intent.state for intent in await record.pending(row.id)] == [intents.STARTED, f"{STORED}7"]
    assert await record.pending() == await open_intents(stack)
    assert await record.pending(row.id + 1) == []
    assert await AppendIntents(context, AppendedOctets(context)).pending() == await record.pending()
    await record.forget(first, second)
    assert await record.pending() == await open_intents(stack) == []


async def test_what_is_being_put_on_record_is_waited_for(stack: Stack) -> None:
    await stack.add_account("work")
    await stack.open()
    row = await (await stack.user()).row("INBOX")
    context = stack.engine().context
    record = AppendIntents(context, AppendedOctets(context))
    upload = Upload(BytesContent(message(1)), (), None)
    recording = record.begin(row, [(await portrayed(upload.content), upload)])
    assert await record.pending(row.id + 1) == []
    assert await record.pending(row.id) == await recording == await open_intents(stack)
    await record.forget(*recording.result())


async def test_many_messages_are_portrayed_each_for_itself() -> None:
    contents = [BytesContent(message(number) + b"x" * 100_000) for number in range(6)]
    assert await all_portrayed(contents) == [await portrayed(content) for content in contents]
