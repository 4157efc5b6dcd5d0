from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.store import intents
from tests.stack import INBOX, Stack, message, running_stack

DATE = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
LAYOUTS = ["folders", "items", "labels"]


async def append(stack: Stack, number: int = 1, flags: tuple[str, ...] = ()) -> int:
    return (await (await stack.user()).append("INBOX", BytesContent(message(number)), flags, DATE)).uid


async def open_intents(stack: Stack) -> list[intents.IntentRow]:
    account_id = stack.engine().context.account_id
    return await stack.store.read(lambda tx: intents.pending(tx, account_id))


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_appended_is_at_the_backend_with_flags_and_date(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    assert await append(stack, flags=("\\Seen", "\\Deleted", "$x")) == 1
    (stored,) = backend.messages(INBOX)
    assert (stored.data, stored.internal_date) == (message(1), DATE)
    view = await stack.open()
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Seen $x \\Recent)"
    assert await open_intents(stack) == []


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


async def test_the_same_message_may_be_appended_twice_on_purpose(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    assert [await append(stack), await append(stack)] == [1, 2]
    assert len(backend.messages(INBOX)) == 2


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


async def test_a_refused_append_leaves_no_intent(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.storage_limit = 10
    with pytest.raises(MailError) as refused:
        await append(stack)
    assert refused.value.kind is ErrorKind.OVER_QUOTA
    assert await open_intents(stack) == []


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


async def test_an_append_whose_uid_cannot_be_read_is_not_said_to_have_failed(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders", uids=True)
    await stack.open()
    gate = backend.faults.hold(Operation.CHANGES)
    backend.deliver(INBOX, message(7))
    await gate.reached()
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    appending = asyncio.create_task(append(stack))
    backend.faults.release(Operation.CHANGES)
    with pytest.raises(MailError) as unknown:
        await appending
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append(stack) == 2
    assert len(backend.messages(INBOX)) == 2
    assert await open_intents(stack) == []
