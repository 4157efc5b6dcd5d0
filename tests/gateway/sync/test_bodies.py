from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import MessageRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.read_ahead import WINDOW
from gateway.mailbox.view import View
from gateway.store import mailboxes, messages, placements
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import Hydration
from gateway.sync.bodies import Wanted
from tests.stack import INBOX, Stack, message, running_stack


async def opened(stack: Stack, count: int) -> View:
    backend = await stack.add_account("work", layout="folders")
    for number in range(count):
        backend.deliver(INBOX, message(number))
    return await stack.open()


async def wanted(stack: Stack) -> tuple[MailboxRow, list[Wanted]]:
    """Return INBOX and its messages."""
    account_id = stack.engine().context.account_id
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
    row = next(row for row in rows if row.path == INBOX)
    placed = await stack.store.read(lambda tx: placements.load(tx, row.id))
    refs = await stack.store.read(lambda tx: messages.refs_by_ids(tx, [one[1] for one in placed]))
    return row, [Wanted(one[1], MessageRef(refs[one[1]])) for one in placed]


async def read_one(view: View, uid: int) -> bytes:
    async for block in view.fetch([uid], Needs(body=True)):
        assert block[0].body is not None
        async with block[0].body as body:
            return await body.read(0, body.size)
    raise AssertionError(f"UID {uid} was not fetched")


async def test_concurrent_readers_share_one_download(stack: Stack) -> None:
    await opened(stack, 1)
    row, (item,) = await wanted(stack)
    gate = stack.backends["work"].faults.hold(Operation.FETCH)
    bodies = stack.engine().bodies
    readers = [asyncio.create_task(bodies.open(row, item.message_id, item.ref)) for _ in range(5)]
    await gate.reached()
    gate.release()
    for body in await asyncio.gather(*readers):
        assert await body.read(0, body.size) == message(0)
        body.close()
    assert stack.backends["work"].faults.calls[Operation.FETCH] == 1


async def test_a_reader_that_gives_up_does_not_end_the_download_of_others(stack: Stack) -> None:
    await opened(stack, 1)
    row, (item,) = await wanted(stack)
    gate = stack.backends["work"].faults.hold(Operation.FETCH)
    bodies = stack.engine().bodies
    first = asyncio.create_task(bodies.open(row, item.message_id, item.ref))
    await gate.reached()
    second = asyncio.create_task(bodies.open(row, item.message_id, item.ref))
    first.cancel()
    gate.release()
    (await second).close()
    assert stack.backends["work"].faults.calls[Operation.FETCH] == 1


async def test_a_failed_download_is_told_to_all_who_wait_and_tried_again_by_the_next(stack: Stack) -> None:
    await opened(stack, 1)
    row, (item,) = await wanted(stack)
    backend, bodies = stack.backends["work"], stack.engine().bodies
    backend.faults.fail_next(Operation.FETCH, errors.Rejected("not now"))
    with pytest.raises(errors.Rejected):
        await bodies.open(row, item.message_id, item.ref)
    (await bodies.open(row, item.message_id, item.ref)).close()


async def test_a_message_that_is_gone_is_not_found(stack: Stack) -> None:
    await opened(stack, 1)
    row, _ = await wanted(stack)
    with pytest.raises(errors.NotFound):
        await stack.engine().bodies.open(row, 999, MessageRef("no such"))


async def test_what_reading_teaches_is_stored(stack: Stack) -> None:
    await opened(stack, 1)
    row, (item,) = await wanted(stack)
    await stack.engine().bodies.learn(row, item.message_id, item.ref)
    known = await stack.store.read(lambda tx: messages.message_rows(tx, [item.message_id]))
    learned = known[item.message_id]
    assert (learned.hydration, learned.size, learned.size_is_exact) == (Hydration.FULL, len(message(0)), True)


async def test_a_cached_message_needs_no_backend(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        view = await opened(stack, 1)
        assert await read_one(view, 1) == message(0)
    stack.backends["work"].set_offline(True)
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        assert await read_one(await stack.open(), 1) == message(0)


async def test_many_messages_are_read_in_few_requests(stack: Stack) -> None:
    count = 3 * WINDOW
    view = await opened(stack, count)
    calls = stack.backends["work"].faults.calls
    seen = []
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body as body:
                seen.append(await body.read(0, body.size))
    assert seen == [message(number) for number in range(count)]
    assert calls[Operation.FETCH_MANY] == 3
    assert calls[Operation.FETCH] <= 1


async def test_a_client_that_takes_one_after_another_is_read_ahead_for(stack: Stack) -> None:
    view = await opened(stack, WINDOW)
    calls = stack.backends["work"].faults.calls
    for uid in view.uids:
        assert await read_one(view, uid) == message(uid - 1)
    assert calls[Operation.FETCH_MANY] <= 2
    assert calls[Operation.FETCH] <= 2


async def test_a_client_that_picks_here_and_there_costs_only_what_it_picks(stack: Stack) -> None:
    view = await opened(stack, 50)
    calls = stack.backends["work"].faults.calls
    for uid in (40, 3, 17, 29):
        await read_one(view, uid)
    assert (calls[Operation.FETCH_MANY], calls[Operation.FETCH]) == (0, 4)


async def test_a_read_ahead_that_fails_leaves_each_message_to_itself(stack: Stack) -> None:
    view = await opened(stack, 5)
    stack.backends["work"].faults.fail_next(Operation.FETCH_MANY, errors.Rejected("no batches today"))
    for uid in view.uids:
        assert await read_one(view, uid) == message(uid - 1)


async def test_messages_of_unknown_size_are_read_ahead_too(stack: Stack) -> None:
    stack.backends["work"] = backend = MemoryBackend(Layout.LABELS, is_sparse=True)
    for number in range(1, 2 * WINDOW + 1):
        backend.deliver(INBOX, message(number))
    await stack.add_account("work")
    view = await stack.open()
    for uid in view.uids:
        assert await read_one(view, uid) == message(uid)
    calls = backend.faults.calls
    # The first two come alone: only then it is seen that one follows the other.
    assert calls[Operation.FETCH] <= 2
    assert calls[Operation.FETCH_MANY] <= 4
