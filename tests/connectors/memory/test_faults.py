"""Trouble on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import Denied, OutcomeUnknown, RateLimited, Unavailable
from connectors.api.types import SEEN, BytesContent, MailboxRef
from connectors.memory.backend import INBOX, MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation

MAIL = b"Subject: x\r\n\r\nbody\r\n"
NONE: frozenset[str] = frozenset()


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def connector(backend: MemoryBackend) -> AsyncIterator[MemoryConnector]:
    connector = MemoryConnector(backend)
    await connector.open()
    yield connector
    await connector.close()


@pytest.fixture
def inbox(backend: MemoryBackend) -> MailboxRef:
    return backend.mailbox(INBOX).ref


async def test_the_next_calls_fail_one_by_one(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    backend.faults.fail_next(Operation.APPEND, RateLimited("slow", retry_after_s=3), Unavailable("down"))
    with pytest.raises(RateLimited):
        await connector.append(inbox, BytesContent(MAIL), NONE, None)
    assert len(await connector.list_mailboxes()) == 6
    with pytest.raises(Unavailable):
        await connector.append(inbox, BytesContent(MAIL), NONE, None)
    await connector.append(inbox, BytesContent(MAIL), NONE, None)
    assert len(backend.messages(INBOX)) == 1
    assert backend.faults.calls[Operation.APPEND] == 3


async def test_a_call_may_fail_after_it_was_done(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    backend.faults.fail_after_doing(Operation.APPEND)
    with pytest.raises(OutcomeUnknown):
        await connector.append(inbox, BytesContent(MAIL), NONE, None)
    assert len(backend.messages(INBOX)) == 1


async def test_a_held_call_waits_until_it_is_released(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    ref = backend.deliver(INBOX, MAIL)
    gate = backend.faults.hold(Operation.FETCH)
    task = asyncio.ensure_future(connector.fetch(inbox, ref))
    await gate.reached()
    assert not task.done()
    assert len(await connector.list_mailboxes()) == 6
    backend.faults.release(Operation.FETCH)
    assert (await task).size == len(MAIL)
    await connector.fetch(inbox, ref)


async def test_a_call_held_behind_its_work_has_done_it(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    task = asyncio.ensure_future(connector.append(inbox, BytesContent(MAIL), NONE, None))
    await gate.reached()
    assert len(backend.messages(INBOX)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    backend.faults.release(Operation.APPEND, is_after=True)
    await connector.append(inbox, BytesContent(MAIL), NONE, None)


async def test_some_messages_of_a_batch_can_be_refused(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    refs = [backend.deliver(INBOX, MAIL) for _ in range(3)]
    backend.faults.refused[refs[1]] = Denied("not this one")
    result = await connector.store_flags(inbox, refs, frozenset({SEEN}), NONE)
    assert set(result.done) == {refs[0], refs[2]}
    assert result.failed.keys() == {refs[1]}
    assert backend.faults.calls[Operation.STORE_FLAGS] == 1


async def test_offline_fails_every_call_and_ends_the_watch(backend: MemoryBackend, connector: MemoryConnector) -> None:
    events = connector.watch()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    backend.set_offline(True)
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await connector.list_mailboxes()
    with pytest.raises(Unavailable):
        await connector.open()
    assert backend.journal.watchers == set()
    backend.set_offline(False)
    assert len(await connector.list_mailboxes()) == 6


async def test_a_listing_stops_where_the_backend_goes_offline(inbox: MailboxRef) -> None:
    backend = MemoryBackend(page_size=1)
    connector = MemoryConnector(backend)
    await connector.open()
    for _ in range(3):
        backend.deliver(INBOX, MAIL)
    pages = connector.listing(backend.mailbox(INBOX).ref)
    assert len(await anext(pages)) == 1
    backend.set_offline(True)
    with pytest.raises(Unavailable):
        await anext(pages)


async def test_fetching_many_is_one_call_and_fails_on_request(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    refs = [backend.deliver(INBOX, MAIL) for _ in range(3)]
    backend.faults.fail_next(Operation.FETCH_MANY, RateLimited("slow", retry_after_s=3))
    with pytest.raises(RateLimited):
        await anext(connector.fetch_many(inbox, refs))
    assert [ref async for ref, _ in connector.fetch_many(inbox, [*refs, refs[0]])] == refs
    assert backend.faults.calls[Operation.FETCH_MANY] == 2
    assert backend.faults.calls[Operation.FETCH] == 0


async def test_fetching_many_stops_where_the_backend_goes_offline(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    refs = [backend.deliver(INBOX, MAIL) for _ in range(3)]
    contents = connector.fetch_many(inbox, refs)
    assert (await anext(contents))[0] == refs[0]
    backend.set_offline(True)
    with pytest.raises(Unavailable):
        await anext(contents)


async def test_what_is_removed_while_many_are_fetched_is_left_out(
    backend: MemoryBackend, connector: MemoryConnector, inbox: MailboxRef
) -> None:
    refs = [backend.deliver(INBOX, MAIL) for _ in range(3)]
    contents = connector.fetch_many(inbox, refs)
    await anext(contents)
    backend.remove(INBOX, refs[1])
    assert [ref async for ref, _ in contents] == [refs[2]]
