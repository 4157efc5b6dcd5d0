"""The first copy that is served of a message stays the truth of its UID, at a backend whose octets vary."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.store import contents
from gateway.sync.first_copies import FirstCopies
from tests.gateway.sync.varying import LAYOUTS, append, evict, octets, rows, varying_account
from tests.stack import INBOX, Stack, message, next_changes, running_stack

ALL = Needs(date=True, size=True, envelope=True, structure=True, header=True)


async def message_id_of(view: View, uid: int) -> int:
    entry = view._mailbox.find(uid)
    assert entry is not None
    return entry.message_id


async def test_the_first_copy_is_served_again_after_a_restart(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await varying_account(stack)
        backend.deliver(INBOX, message(1))
        view = await stack.open()
        first = await octets(view, 1)
        told = (await rows(view, ALL))[1]
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        view = await stack.open()
        assert await octets(view, 1) == first
        again = (await rows(view, ALL))[1]
        assert (again.size, again.header, again.structure) == (told.size, told.header, told.structure)
        assert first.startswith(told.header or b"-")
        assert told.size == len(first)
    assert backend.faults.calls[Operation.FETCH] + backend.faults.calls[Operation.FETCH_MANY] == 1


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_other_octets_after_the_cache_has_lost_the_first_get_a_new_uid(stack: Stack, layout: str) -> None:
    backend = await varying_account(stack, layout)
    backend.deliver(INBOX, message(1), frozenset({"\\Flagged"}))
    backend.deliver(INBOX, message(2))
    view = await stack.open()
    first = await octets(view, 1)
    told = (await rows(view, ALL))[1]
    evict(stack)
    with pytest.raises(MailError) as caught:
        await octets(view, 1)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    changes = await next_changes(view)
    assert (changes.expunged, changes.exists, list(view.uids)) == ([(1, 1)], 2, [2, 3])
    other = await octets(view, 3)
    assert other != first
    assert other.endswith(message(1))
    now = (await rows(view, ALL))[3]
    assert (now.size, now.internal_date, now.envelope) == (len(other), told.internal_date, told.envelope)
    assert now.flags == b"(\\Flagged \\Recent)"
    assert await octets(view, 3) == other
    assert await stack.check() == []
    # What the backend says of it from now on is about the new UID.
    backend.set_flags(INBOX, next(iter(backend.mailbox(INBOX).messages)), frozenset({"\\Seen"}))
    assert [row.uid for row in (await next_changes(view)).flagged] == [3]


async def test_what_a_client_does_not_know_to_be_gone_is_not_asked_of_the_backend(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    await octets(view, 1)
    evict(stack)
    with pytest.raises(MailError):
        await octets(view, 1)
    calls = backend.faults.calls.total()
    with pytest.raises(MailError) as caught:
        await octets(view, 1)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    told = (await rows(view, ALL, [1]))[1]
    assert (told.size, told.envelope is None) == (len(message(1)) + len(b"X-Composed: 1\r\n"), False)
    assert backend.faults.calls.total() == calls


async def test_size_and_structure_told_of_an_evicted_message_stay_until_it_is_read(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    told = (await rows(view, ALL))[1]
    evict(stack)
    calls = backend.faults.calls.total()
    again = (await rows(view, ALL))[1]
    assert (again.size, again.structure, again.header) == (told.size, told.structure, told.header)
    assert backend.faults.calls.total() == calls


async def test_many_that_have_other_octets_are_renewed_while_the_rest_is_served(stack: Stack) -> None:
    backend = await varying_account(stack)
    for number in range(1, 21):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    await rows(view, Needs(structure=True), range(1, 11))
    evict(stack)
    served: dict[int, bytes] = {}
    for uid, row in (await rows(view, Needs(body=True))).items():
        assert row.body is not None
        with contextlib.suppress(MailError):
            async with row.body as body:
                served[uid] = await body.read(0, body.size)
    assert sorted(served) == list(range(11, 21))
    assert all(data.endswith(message(uid)) for uid, data in served.items())
    await next_changes(view)
    assert list(view.uids) == list(range(11, 31))
    assert await stack.check() == []


async def test_a_message_that_is_read_again_in_the_same_octets_stays(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    first = await octets(view, 1)
    evict(stack)
    backend.readings = iter([1])
    assert await octets(view, 1) == first
    assert view.catch_up(allow_expunge=True).is_empty


async def test_other_readers_of_the_same_download_are_told_too(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    await octets(view, 1)
    evict(stack)
    gate = backend.faults.hold(Operation.FETCH)
    readers = [asyncio.create_task(octets(view, 1)) for _ in range(3)]
    await gate.reached()
    gate.release()
    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert [getattr(outcome, "kind", None) for outcome in outcomes] == [ErrorKind.NOT_FOUND] * 3
    await next_changes(view)
    assert list(view.uids) == [2]


async def test_octets_whose_hash_cannot_be_stored_are_not_served(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    copies = FirstCopies(stack.engine().context)
    message_id = await message_id_of(view, 1)

    async def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(contents, "claim", fail)
        with pytest.raises(errors.Unavailable):
            await copies.claim(message_id, b"\1" * 32)
    await copies.claim(message_id, b"\1" * 32)
    await copies.close()


async def test_kept_octets_that_are_lost_give_way_to_those_of_the_backend_under_a_new_uid(stack: Stack) -> None:
    await varying_account(stack)
    await append(stack)
    view = await stack.open()
    assert await octets(view, 1) == message(1)
    kept = stack.engine().context.cache.kept
    account_id = stack.engine().context.account_id
    kept.drop(account_id, kept.ids(account_id)[0])
    with pytest.raises(MailError):
        await octets(view, 1)
    await next_changes(view)
    assert list(view.uids) == [2]
    assert (await octets(view, 2)).endswith(b"\r\n" + message(1))


async def test_a_backend_that_gives_the_same_octets_is_read_without_hashes(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="items")
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    await octets(view, 1)
    evict(stack)
    backend.mailbox(INBOX).messages[ref].data = message(2)
    assert await octets(view, 1) == message(2)
