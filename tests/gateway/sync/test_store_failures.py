"""The store cannot be written for a while: nothing is lost or done twice, and all goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.store import accounts, intents
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.sqlite import SqliteEngine
from gateway.sync.bodies import Bodies
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, message, next_changes, running_stack, silence, subjects, until_held

BOX = ("Box",)
_REFUSE = text("PRAGMA query_only = ON")


async def refuse_writes(store: Store) -> None:
    """Let every write fail, with the error of a file system that is read-only."""
    await store.write(lambda tx: tx.execute(_REFUSE))


def allow_writes(store: Store) -> None:
    # Behind the store's back: not even a transaction can be begun for it.
    engine = store._engine
    assert isinstance(engine, SqliteEngine)
    engine._connections[0].execute("PRAGMA query_only = OFF")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path) as stack:
        yield stack
        assert await stack.check() == []


@pytest.fixture
async def backend(stack: Stack) -> MemoryBackend:
    backend = await stack.add_account("work")
    backend.create_mailbox(BOX)
    for number in range(3):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    await until_held(view, 3)
    await stack.open("Box")
    return backend


@asynccontextmanager
async def refused_after(stack: Stack, backend: MemoryBackend, operation: Operation) -> AsyncIterator[None]:
    """Let the backend do what it is asked for, and the store not take its outcome."""
    gate = backend.faults.hold(operation, is_after=True)

    async def refuse() -> None:
        await gate.reached()
        await refuse_writes(stack.store)
        backend.faults.release(operation, is_after=True)

    refusal = asyncio.get_running_loop().create_task(refuse())
    try:
        yield
    finally:
        await refusal


class Listening(logging.Handler):
    """Tells when something is logged."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.heard = asyncio.Event()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.heard.set()


async def test_writes_are_refused_before_the_backend_is_asked(stack: Stack, backend: MemoryBackend) -> None:
    user, view = await stack.user(), await stack.open()
    await refuse_writes(stack.store)
    # Noticed by the first write that fails, whatever it is for.
    with pytest.raises(StoreError):
        await stack.store.write(lambda tx: accounts.set_account_cursor(tx, 1, None))
    for attempt in (
        lambda: view.store([1], StoreAction.ADD, ["\\Flagged"]),
        lambda: view.copy([1], "Box", is_move=False),
        lambda: view.copy([1], "Box", is_move=True),
        lambda: user.append("INBOX", BytesContent(message(9)), (), None),
        lambda: user.create("New"),
        lambda: user.delete("Box"),
        lambda: user.rename("Box", "New"),
    ):
        before = backend.faults.calls.copy()
        with pytest.raises(StoreError, match="read-only"):
            await attempt()
        done = backend.faults.calls - before
        assert not {operation for operation in done if operation in _WRITES}
    assert await subjects(view) == {number + 1: message(number) for number in range(3)}
    allow_writes(stack.store)
    await view.copy([1], "Box", is_move=False)
    assert len(backend.messages(BOX)) == 1


_WRITES = {
    Operation.STORE_FLAGS,
    Operation.COPY,
    Operation.MOVE,
    Operation.APPEND,
    Operation.EXPUNGE,
    Operation.CREATE_MAILBOX,
    Operation.RENAME_MAILBOX,
    Operation.DELETE_MAILBOX,
}


async def test_an_append_whose_outcome_could_not_be_stored_is_not_done_twice(
    stack: Stack, backend: MemoryBackend
) -> None:
    user = await stack.user()

    async def append() -> None:
        await user.append("INBOX", BytesContent(message(9)), ("\\Seen",), None)

    with pytest.raises(StoreError):
        async with refused_after(stack, backend, Operation.APPEND):
            await append()
    allow_writes(stack.store)
    await append()
    assert [stored.data for stored in backend.messages(INBOX)].count(message(9)) == 1
    view = await stack.open()
    await until_held(view, 4)
    account_id = stack.engine().context.account_id
    assert await stack.store.read(lambda tx: intents.pending(tx, account_id)) == []


@pytest.mark.parametrize("is_move", [False, True], ids=["copy", "move"])
async def test_a_copy_whose_outcome_could_not_be_stored_is_found_by_the_next_reading(
    stack: Stack, backend: MemoryBackend, is_move: bool
) -> None:
    view = await stack.open()
    with pytest.raises(StoreError):
        async with refused_after(stack, backend, Operation.MOVE if is_move else Operation.COPY):
            await view.copy([1, 2], "Box", is_move=is_move)
    # While the store cannot be written, a repetition is refused before it could double anything.
    with pytest.raises(StoreError):
        await view.copy([1, 2], "Box", is_move=is_move)
    allow_writes(stack.store)
    stack.engine().retry()
    box = await stack.open("Box")
    await until_held(box, 2)
    inbox = await stack.open()
    await until_held(inbox, 1 if is_move else 3)
    assert len(backend.messages(BOX)) == 2


async def test_the_sync_goes_on_by_itself_once_the_store_can_be_written(
    stack: Stack, backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    view = await stack.open()
    await refuse_writes(stack.store)
    with caplog.at_level(logging.ERROR):
        listening = Listening("sync failed")
        logging.getLogger().addHandler(listening)
        backend.deliver(INBOX, message(7))
        async with asyncio.timeout(PATIENT_S):
            await listening.heard.wait()
        logging.getLogger().removeHandler(listening)
    assert "Traceback" not in caplog.text
    assert "gateway.db: cannot be written" in caplog.text
    assert await subjects(view) == {number + 1: message(number) for number in range(3)}
    allow_writes(stack.store)
    stack.engine().retry()
    await until_held(view, 4)


async def test_a_new_process_serves_what_is_known_and_syncs_when_it_can(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as first:
        backend = await first.add_account("work")
        backend.deliver(INBOX, message(0))
        await until_held(await first.open(), 1)
    backends = first.backends
    async with running_stack(tmp_path, backends) as second:
        # As soon as the store is open: before the sync has written anything.
        await refuse_writes(second.store)
        backend.deliver(INBOX, message(1))
        view = await second.open()
        assert len(view.uids) in (1, 2)
        allow_writes(second.store)
        second.engine().retry()
        await until_held(view, 2)
        assert await second.check() == []


async def test_a_message_is_served_though_what_it_teaches_cannot_be_stored(
    stack: Stack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account("work", layout="labels", listing="sparse")
    backend.deliver(INBOX, message(0))
    view = await stack.open()
    await until_held(view, 1)
    await refuse_writes(stack.store)
    # As where a date comes with the message.
    monkeypatch.setattr(Bodies, "_date_of", lambda *_: {1: datetime(2020, 1, 1, tzinfo=UTC)})
    assert await subjects(view) == {1: message(0)}
    with pytest.raises(StoreError):
        # Behind all that was to be written so far.
        await stack.store.write(lambda tx: accounts.set_account_cursor(tx, 1, None))
    await stack.engine().bodies.close()
    gc.collect()
    assert "taught cannot be stored" in caplog.text
    assert "Traceback" not in caplog.text
    allow_writes(stack.store)


@pytest.mark.parametrize("operation", [Operation.STORE_FLAGS, Operation.COPY, Operation.MOVE, Operation.EXPUNGE])
async def test_what_could_not_be_stored_is_read_without_the_backend_telling_of_it(
    stack: Stack, backend: MemoryBackend, operation: Operation
) -> None:
    view, box = await stack.open(), await stack.open("Box")
    await silence(stack, backend)
    writes: dict[Operation, Callable[[], Awaitable[object]]] = {
        Operation.STORE_FLAGS: lambda: view.store([1], StoreAction.ADD, ["\\Flagged"]),
        Operation.COPY: lambda: view.copy([1], "Box", is_move=False),
        Operation.MOVE: lambda: view.copy([1], "Box", is_move=True),
        Operation.EXPUNGE: lambda: view.expunge([1], only_deleted=False),
    }
    with pytest.raises(StoreError):
        async with refused_after(stack, backend, operation):
            await writes[operation]()
    allow_writes(stack.store)
    stack.engine().retry()
    if operation is Operation.STORE_FLAGS:
        assert (await next_changes(view)).flagged
    if operation in (Operation.MOVE, Operation.EXPUNGE):
        await until_held(view, 2)
    if operation in (Operation.COPY, Operation.MOVE):
        await until_held(box, 1)
