"""A mailbox that is deleted at the backend while a write to it, or a reading of it, is under way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import pytest

from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.view import View
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, eventually, message, silence, until_held

BOX = ("Box",)
LAYOUTS = ("folders", "labels")


async def opened(stack: Stack, layout: str) -> tuple[MemoryBackend, View]:
    """Return a backend whose mailbox Box holds a message marked as deleted, and a view of that."""
    backend = await stack.add_account(layout=layout)
    backend.create_mailbox(BOX)
    backend.deliver(BOX, message(1))
    stack.engine().demand.request_tree()
    view = await stack.open("Box")
    await view.store([1], StoreAction.ADD, ["\\Deleted"])
    return backend, view


async def delete_during(
    stack: Stack, backend: MemoryBackend, operation: Operation, act: Callable[[], Awaitable[object]]
) -> object:
    """Let Box vanish, and be known to have vanished, after the backend has done what is asked of it."""
    gate = backend.faults.hold(operation, is_after=True)
    acting = asyncio.ensure_future(act())
    async with asyncio.timeout(PATIENT_S):
        await gate.reached()
        backend.delete_mailbox(BOX)
        await stack.engine().reader.list_tree()
        backend.faults.release(operation, is_after=True)
        return await acting


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_flags_of_a_mailbox_that_vanishes_are_nothing_to_store(stack: Stack, layout: str) -> None:
    backend, view = await opened(stack, layout)
    await delete_during(
        stack, backend, Operation.STORE_FLAGS, lambda: view.store([1], StoreAction.ADD, ["\\Seen", "\\Flagged"])
    )
    assert view.is_defunct
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_messages_of_a_mailbox_that_vanishes_are_expunged_all_the_same(stack: Stack, layout: str) -> None:
    backend, view = await opened(stack, layout)
    outcome = await delete_during(stack, backend, Operation.EXPUNGE, view.expunge)
    assert getattr(outcome, "error", None) is None
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_moved_out_of_a_mailbox_that_vanishes_arrives(stack: Stack, layout: str) -> None:
    backend, view = await opened(stack, layout)
    inbox = await stack.open()
    await delete_during(stack, backend, Operation.MOVE, lambda: view.copy([1], "INBOX", is_move=True))
    inbox.catch_up(allow_expunge=True)
    assert len(inbox.uids) == len(backend.messages(INBOX)) == 1
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_move", [False, True])
async def test_what_is_copied_into_a_mailbox_that_vanishes_is_gone_with_it(
    stack: Stack, layout: str, is_move: bool
) -> None:
    backend, _ = await opened(stack, layout)
    backend.deliver(INBOX, message(2))
    inbox = await stack.open()
    await until_held(inbox, 1)
    operation = Operation.MOVE if is_move else Operation.COPY
    await delete_during(stack, backend, operation, lambda: inbox.copy([1], "Box", is_move=is_move))
    inbox.catch_up(allow_expunge=True)
    assert len(inbox.uids) == len(backend.messages(INBOX)) == (0 if is_move else 1)
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_an_append_to_a_mailbox_that_vanishes_is_refused_as_to_one_that_is_not_there(
    stack: Stack, layout: str
) -> None:
    backend, _ = await opened(stack, layout)
    user = await stack.user()
    with pytest.raises(MailError) as caught:
        await delete_during(
            stack, backend, Operation.APPEND, lambda: user.append("Box", BytesContent(message(2)), (), None)
        )
    assert caught.value.kind is ErrorKind.NO_SUCH_DESTINATION
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_listing_of_a_mailbox_that_vanishes_ends_without_a_failure(
    stack: Stack, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend, _ = await opened(stack, layout)
    backend.create_mailbox(("Other",))
    backend.deliver(("Other",), message(2))
    gate = backend.faults.hold(Operation.LISTING, is_after=True)
    stack.engine().demand.request_tree()
    async with asyncio.timeout(PATIENT_S):
        await gate.reached()
        backend.delete_mailbox(("Other",))
        await stack.engine().reader.list_tree()
        backend.faults.release(Operation.LISTING, is_after=True)
        inbox = await stack.open()
        assert await stack.engine().wait_until_read(inbox.mailbox_id, PATIENT_S)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("verb", ["store", "expunge", "copy", "move"])
async def test_a_write_that_meets_a_mailbox_that_is_gone_makes_that_known(stack: Stack, layout: str, verb: str) -> None:
    backend, view = await opened(stack, layout)
    await silence(stack, backend)
    backend.delete_mailbox(BOX)
    with contextlib.suppress(MailError):
        if verb == "store":
            await view.store([1], StoreAction.ADD, ["\\Seen"])
        elif verb == "expunge":
            await view.expunge()
        else:
            await view.copy([1], "INBOX", is_move=verb == "move")
    assert await eventually(view, lambda: view.is_defunct, bool)
