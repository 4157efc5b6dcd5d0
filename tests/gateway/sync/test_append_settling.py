from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.store import intents
from gateway.sync import append_intents
from gateway.wire.commands import StoreAction
from tests.gateway.sync.appending import (
    BOX,
    DATE,
    DRAFT,
    LAYOUTS,
    append,
    append_octets,
    appending_stack,
    as_stored,
    box_row,
    open_intents,
)
from tests.manual_clock import ManualClock
from tests.stack import INBOX, PATIENT_S, Stack, message, running_stack, until_held


@pytest.fixture(params=[False, True], ids=["asked", "prepared"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    async with appending_stack(tmp_path, is_prepared=request.param) as running:
        yield running


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_lost_answer_is_settled_by_looking(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    backend.deliver(INBOX, message(0))
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append(stack) == 2
    assert len(backend.messages(INBOX)) == 2
    assert await open_intents(stack) == []
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_flags_are_kept_whatever_becomes_of_the_answer(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    view = await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append(stack, flags=("\\Seen", "\\Deleted", "$x")) == 1
    await until_held(view, 1)
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Seen $x \\Recent)"


async def test_flags_are_kept_if_only_the_repetition_is_answered(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    view = await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError):
        await append(stack, flags=("\\Deleted",))
    backend.faults._before.clear()
    assert await append(stack, flags=("\\Deleted",)) == 1
    assert len(backend.messages(INBOX)) == 1
    await until_held(view, 1)
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Recent)"


@pytest.mark.parametrize("is_down", [False, True])
async def test_a_lost_answer_is_settled_though_the_backend_alters_the_message(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, is_down: bool
) -> None:
    """As Gmail does with drafts: fields that are missing are added, and line ends are CRLF."""
    backend = await stack.add_account("work", layout="labels")
    backend.deliver(INBOX, message(0))
    await stack.open()
    add = MemoryBackend.add
    monkeypatch.setattr(MemoryBackend, "add", lambda self, box, data, *rest: add(self, box, as_stored(data), *rest))
    backend.faults.fail_after_doing(Operation.APPEND)
    if is_down:
        # Another one like it comes meanwhile.
        backend.deliver(INBOX, DRAFT.replace(b"to do", b"to do soon"))
        backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
        with pytest.raises(MailError):
            await append_octets(stack, DRAFT)
        backend.faults._before.clear()
    uid = await append_octets(stack, DRAFT)
    stored = [each.data for each in backend.messages(INBOX)]
    assert stored.count(as_stored(DRAFT)) == 1
    assert uid == len(stored)
    assert await open_intents(stack) == []
    # That one was answered: the next is a message of its own.
    assert await append_octets(stack, DRAFT) == len(stored) + 1
    assert await stack.check() == []


async def test_another_message_is_not_taken_for_one_that_did_not_arrive(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    for other in (DRAFT.replace(b"Text", b"Test"), b"To: bo@example.org\n" + DRAFT, DRAFT.replace(b" to do", b" done")):
        backend.deliver(INBOX, as_stored(other))
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append_octets(stack, DRAFT)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert await append_octets(stack, DRAFT) == 4
    assert len(backend.messages(INBOX)) == 4


async def test_a_message_that_arrives_after_it_was_looked_for_is_the_answer_to_its_repetition(stack: Stack) -> None:
    """The connection was given up while the backend was still at it."""
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append_octets(stack, DRAFT)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    backend.deliver(INBOX, as_stored(DRAFT))
    # While that cannot be seen, nothing is stored either.
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError) as unknown:
        await append_octets(stack, DRAFT)
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append_octets(stack, DRAFT) == 1
    assert len(backend.messages(INBOX)) == 1
    # Only that one is answered again.
    assert await append_octets(stack, DRAFT) == 2


async def test_what_arrives_long_after_is_a_message_of_its_own(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await stack.add_account("work", layout="labels")
    view = await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError):
        await append_octets(stack, DRAFT)
    backend.deliver(INBOX, as_stored(DRAFT))
    await until_held(view, 1)
    monkeypatch.setattr(append_intents, "ANSWER_AGAIN_S", -1)
    assert await append_octets(stack, DRAFT) == 2


async def test_of_two_that_could_be_it_the_very_same_octets_are_taken(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.deliver(INBOX, as_stored(DRAFT))
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append_octets(stack, DRAFT) == 2
    assert [each.data for each in backend.messages(INBOX)] == [as_stored(DRAFT), DRAFT]


async def test_an_append_that_did_not_arrive_is_refused_and_can_be_repeated(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append(stack)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert await open_intents(stack) == []
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1


async def test_a_lost_answer_is_settled_though_what_happened_before_is_being_written(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading leaves out what is being written in another mailbox, and all that comes after it."""
    backend = await stack.add_account("work", layout="labels")
    backend.page_size = 1
    backend.create_mailbox(BOX)
    backend.deliver(BOX, message(0))
    stack.engine().demand.request_tree()
    view = await stack.open("Box")
    await until_held(view, 1)
    gate = backend.faults.hold(Operation.STORE_FLAGS, is_after=True)
    storing = asyncio.ensure_future(view.store([1], StoreAction.ADD, ["\\Seen"]))
    await gate.reached()
    guard = stack.engine().context.guard
    written = guard.written

    async def answer_and_wait() -> None:
        backend.faults.release(Operation.STORE_FLAGS, is_after=True)
        await written()

    monkeypatch.setattr(guard, "written", answer_and_wait)
    backend.faults.fail_after_doing(Operation.APPEND)
    try:
        assert await append(stack) == 1
    finally:
        backend.faults.release(Operation.STORE_FLAGS, is_after=True)
        await storing
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


async def test_an_append_is_not_said_to_have_failed_if_its_mailbox_vanishes_while_it_is_looked_for(
    stack: Stack,
) -> None:
    backend = await stack.add_account("work", layout="labels", reports_tree=True)
    backend.create_mailbox(BOX)
    stack.engine().demand.request_tree()
    await stack.open("Box")
    answer = backend.faults.hold(Operation.APPEND, is_after=True)
    backend.faults.fail_after_doing(Operation.APPEND)
    appending = asyncio.ensure_future((await stack.user()).append("Box", BytesContent(message(1)), (), DATE))
    await answer.reached()
    await stack.engine().reader.resync(await box_row(stack))
    reading = backend.faults.hold(Operation.CHANGES)
    backend.faults.release(Operation.APPEND, is_after=True)
    await reading.reached()
    backend.delete_mailbox(BOX)
    backend.faults.release(Operation.CHANGES)
    with pytest.raises(MailError) as unknown:
        await appending
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    assert await stack.check() == []


async def test_a_repeated_append_finds_what_the_first_stored(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError) as unknown:
        await append(stack)
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


async def test_after_a_restart_a_message_that_arrived_is_the_answer_to_its_repetition(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders")
        await stack.open()
        backend.faults.fail_after_doing(Operation.APPEND)
        backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
        with pytest.raises(MailError):
            await append(stack)
    backend.faults._before.clear()
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        await stack.open()
        assert await append(stack) == 1
        assert len(backend.messages(INBOX)) == 1
        # Only the lost one is answered again: the next is a message of its own.
        assert await append(stack) == 2


async def test_an_append_whose_client_hangs_up_is_settled_and_answered_to_its_repetition(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    appending = asyncio.create_task(append(stack))
    await gate.reached()
    appending.cancel()
    await asyncio.gather(appending, return_exceptions=True)
    backend.faults.release(Operation.APPEND, is_after=True)
    await asyncio.gather(*stack.engine()._writes)
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


@pytest.mark.parametrize("wrong_s", [0, 365 * 24 * 3600], ids=["right clock", "clock that was ahead"])
async def test_an_answer_that_was_lost_long_ago_is_not_given(tmp_path: Path, wrong_s: int) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=wrong_s))
    async with running_stack(tmp_path, clock=clock) as stack:
        backend = await stack.add_account("work")
        await stack.open()
        account_id = stack.engine().context.account_id
        # As an earlier process left it, which found out what became of an append that nobody waited for any more.
        payload = {"mailbox": (await stack.open()).mailbox_id, "uidnext": 1, "size": 0, "newest": 0}
        digest = hashlib.sha256(message(1)).digest()
        await append(stack)
        intent = await stack.store.write(lambda tx: intents.record(tx, account_id, "append", payload, digest))
        await stack.store.write(lambda tx: intents.set_state(tx, intent, f"{append_intents.STORED}1"))
    clock.set_back(wrong_s)
    clock.advance(24 * 3600)
    async with running_stack(tmp_path, {"work": backend}, clock=clock) as stack:
        assert await append(stack) == 2
        assert len(backend.messages(INBOX)) == 2


async def test_an_answer_under_another_uidvalidity_is_found_anew(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders", uids=True)
        view, account_id = await stack.open(), stack.engine().context.account_id
        payload = {"mailbox": view.mailbox_id, "uidnext": 9, "size": len(message(1)), "newest": 0}
        payload |= {"uidvalidity": view.uidvalidity}
        digest = hashlib.sha256(message(1)).digest()
        intent = await stack.store.write(lambda tx: intents.record(tx, account_id, "append", payload, digest))
        await stack.store.write(lambda tx: intents.set_state(tx, intent, f"{append_intents.STORED}1"))
        for number in (0, 1):
            backend.deliver(INBOX, message(number))
        backend.invalidate_uidvalidity(INBOX)
    async with running_stack(tmp_path, {"work": backend}) as stack:
        (other, wanted) = (int(ref) for ref in backend.mailbox(INBOX).messages)
        assert other < wanted < 9
        assert await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
        assert await append(stack) == wanted
        assert len(backend.messages(INBOX)) == 2
        assert await open_intents(stack) == []
