"""Several messages of one APPEND (RFC 3502), stored by one request where the backend takes them so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.sync.append_intents import PART_OCTETS, Upload, parts_of
from tests.gateway.sync.appending import LAYOUTS, appending_stack, open_intents
from tests.once import keep_each_once
from tests.stack import INBOX, Stack, message, until_held


@pytest.fixture(params=[False, True], ids=["asked", "prepared"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    async with appending_stack(tmp_path, is_prepared=request.param) as running:
        yield running


async def append_all(
    stack: Stack, numbers: Sequence[int] = (1, 2, 3), flags: tuple[str, ...] = ("\\Seen", "\\Deleted", "$x")
) -> list[int]:
    uploads = [Upload(BytesContent(message(number)), flags, None) for number in numbers]
    return list((await (await stack.user()).append_all("INBOX", uploads)).uids)


async def refused(stack: Stack) -> MailError:
    with pytest.raises(MailError) as refusal:
        await append_all(stack)
    return refusal.value


def stored(backend: MemoryBackend) -> list[bytes]:
    return [one.data for one in backend.messages(INBOX)]


def given(*numbers: int) -> list[bytes]:
    return [message(number) for number in numbers]


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_they_are_one_request_and_come_in_their_order(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    backend.deliver(INBOX, message(0))
    view = await stack.open()
    await until_held(view, 1)
    assert await append_all(stack) == [2, 3, 4]
    assert stored(backend) == given(0, 1, 2, 3)
    assert (backend.faults.calls[Operation.APPEND_MANY], backend.faults.calls[Operation.APPEND]) == (1, 0)
    await until_held(view, 4)
    assert {row.flags for row in view.flag_rows([2, 3, 4])} == {b"(\\Deleted \\Seen $x \\Recent)"}
    assert await open_intents(stack) == []
    assert await stack.check() == []


async def test_a_backend_that_takes_them_one_by_one_gets_them_so(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    backend.appends_together = False
    await stack.open()
    assert await append_all(stack) == [1, 2, 3]
    assert stored(backend) == given(1, 2, 3)
    assert await open_intents(stack) == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_more_than_one_request_may_have_go_in_parts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    backend = await stack.add_account("work", layout=layout)
    await stack.open()
    few = replace(stack.engine().context.account.capabilities, batch_limit=2)
    monkeypatch.setattr(MemoryConnector, "capabilities", few)
    assert await append_all(stack, (1, 2, 3, 4, 5)) == [1, 2, 3, 4, 5]
    assert stored(backend) == given(1, 2, 3, 4, 5)
    assert (backend.faults.calls[Operation.APPEND_MANY], backend.faults.calls[Operation.APPEND]) == (2, 1)
    assert await open_intents(stack) == []
    assert await stack.check() == []


async def test_a_part_that_is_refused_takes_those_before_it_along(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    few = replace(stack.engine().context.account.capabilities, batch_limit=2)
    monkeypatch.setattr(MemoryConnector, "capabilities", few)
    backend.storage_limit = backend.used_octets() + 3 * len(message(1)) + 5
    uploads = [Upload(BytesContent(message(number)), (), None) for number in (1, 2, 3, 4)]
    with pytest.raises(MailError) as refusal:
        await (await stack.user()).append_all("INBOX", uploads)
    assert refusal.value.kind is ErrorKind.OVER_QUOTA
    assert stored(backend) == []
    assert await open_intents(stack) == []
    backend.storage_limit = None
    assert await append_all(stack, (1, 2, 3, 4)) == [3, 4, 5, 6]
    assert stored(backend) == given(1, 2, 3, 4)
    assert await stack.check() == []


def test_parts_are_as_many_as_a_request_takes_and_light_enough() -> None:
    def lengths(sizes: Sequence[int], limit: int) -> list[int]:
        uploads = [Upload(BytesContent(b"x" * size), (), None) for size in sizes]
        parts = list(parts_of(uploads, limit))
        assert [upload for part in parts for upload in part] == uploads
        return [len(part) for part in parts]

    assert lengths([1] * 7, 3) == [3, 3, 1]
    assert lengths([1] * 3, 3) == [3]
    assert lengths([1], 500) == [1]
    half = PART_OCTETS // 2
    assert lengths([half, half, half + 1, half, 2 * PART_OCTETS, 1], 500) == [2, 1, 1, 1, 1]


async def test_equal_messages_go_one_by_one(stack: Stack) -> None:
    """Should an answer be lost, nobody could tell which of them has arrived."""
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    assert await append_all(stack, (1, 2, 1)) == [1, 2, 3]
    assert stored(backend) == given(1, 2, 1)
    assert backend.faults.calls[Operation.APPEND_MANY] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_lost_answer_is_settled_by_looking(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    view = await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND_MANY)
    assert await append_all(stack) == [1, 2, 3]
    assert stored(backend) == given(1, 2, 3)
    await until_held(view, 3)
    assert {row.flags for row in view.flag_rows([1, 2, 3])} == {b"(\\Deleted \\Seen $x \\Recent)"}
    assert await open_intents(stack) == []
    assert await stack.check() == []


async def test_what_did_not_arrive_is_refused_and_can_be_repeated(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.faults.fail_next(Operation.APPEND_MANY, errors.OutcomeUnknown("lost"))
    assert (await refused(stack)).kind is ErrorKind.UNAVAILABLE
    assert stored(backend) == []
    assert await open_intents(stack) == []
    assert await append_all(stack) == [1, 2, 3]
    assert stored(backend) == given(1, 2, 3)


async def test_of_what_arrived_in_part_nothing_stays(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()

    async def lose_after_two(connector: MemoryConnector, mailbox: object, messages: Sequence[object]) -> None:
        for number in (1, 2):
            backend.deliver(INBOX, message(number))
        raise errors.OutcomeUnknown("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryConnector, "append_many", lose_after_two)
        assert (await refused(stack)).kind is ErrorKind.UNAVAILABLE
    assert stored(backend) == []
    assert await open_intents(stack) == []
    assert await append_all(stack) == [3, 4, 5]
    assert stored(backend) == given(1, 2, 3)


async def test_what_was_begun_before_and_never_answered_is_not_stored_twice(stack: Stack) -> None:
    """Its outcome could not be seen; the repetition looks for each message."""
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND_MANY)
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    assert (await refused(stack)).kind is ErrorKind.OUTCOME_UNKNOWN
    assert stored(backend) == given(1, 2, 3)
    backend.faults._before.clear()
    assert await append_all(stack) == [1, 2, 3]
    assert stored(backend) == given(1, 2, 3)
    assert await open_intents(stack) == []
    assert await stack.check() == []


async def test_one_that_is_refused_keeps_all_out(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.storage_limit = backend.used_octets() + 2 * len(message(1)) + 5
    assert (await refused(stack)).kind is ErrorKind.OVER_QUOTA
    assert stored(backend) == []
    assert await open_intents(stack) == []


@pytest.mark.parametrize("numbers", [(0, 1, 2), (1, 1, 0, 2)])
async def test_what_was_there_before_is_not_taken_along_when_one_is_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, ...]
) -> None:
    keep_each_once(monkeypatch)
    backend = await stack.add_account("work", layout="folders")
    backend.appends_together = False
    backend.deliver(INBOX, message(0))
    await until_held(await stack.open(), 1)
    backend.storage_limit = len(message(0)) + len(message(1))
    with pytest.raises(MailError) as refusal:
        await append_all(stack, numbers, ())
    assert refusal.value.kind is ErrorKind.OVER_QUOTA
    assert stored(backend) == given(0)
    assert await open_intents(stack) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operation", [Operation.APPEND, Operation.APPEND_MANY])
async def test_none_stays_when_the_client_goes_in_the_middle(stack: Stack, layout: str, operation: Operation) -> None:
    backend = await stack.add_account("work", layout=layout)
    backend.appends_together = operation is Operation.APPEND_MANY
    backend.deliver(INBOX, message(0))
    view = await stack.open()
    await until_held(view, 1)
    gate = backend.faults.hold(operation, is_after=True)
    appending = asyncio.create_task(append_all(stack))
    await gate.reached()
    assert len(stored(backend)) > 1
    appending.cancel()
    backend.faults.release(operation, is_after=True)
    with pytest.raises(asyncio.CancelledError):
        await appending
    await asyncio.gather(*stack.engine()._writes)
    assert stored(backend) == given(0)
    assert await open_intents(stack) == []
    await until_held(view, 1)
