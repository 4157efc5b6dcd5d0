"""RENAME where mailboxes keep their refs: they are told apart by those, whatever is called how meanwhile.

And changes of the tree that the backend makes, but cannot list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from tests.fakes.jmap.server import FakeJmap, running_fake
from tests.gateway.sync.over_jmap import jmap_stack
from tests.stack import PATIENT_S, Stack, message, running_stack, silence, subjects, until_held


@pytest.fixture
async def fake() -> AsyncIterator[FakeJmap]:
    async with running_fake() as running:
        yield running


@pytest.fixture
async def stack(tmp_path: Path, fake: FakeJmap) -> AsyncIterator[Stack]:
    async with jmap_stack(tmp_path, fake) as running:
        yield running


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_mailbox_that_others_rename_and_replace_at_once_keeps_its_messages(
    stack: Stack, fake: FakeJmap, is_lost: bool
) -> None:
    fake.create_mailbox("Box")
    fake.deliver("Box", message(1))
    user = await stack.user()
    view = await stack.open("Box")
    await until_held(view, 1)
    if is_lost:
        fake.fail_next("Mailbox/set", "cut-after")
    gate = fake.hold("api:done")
    async with asyncio.timeout(PATIENT_S):
        renaming = asyncio.create_task(user.rename("Box", "Other"))
        while not fake.stats.methods["Mailbox/set"]:
            await gate.arrived()
            gate.release()
            gate = fake.hold("api:done")
            await gate.arrived()
        fake.rename_mailbox("Other", "Third")
        fake.create_mailbox("Other")
        fake.deliver("Other", message(2))
        gate.release()
        await renaming
        assert await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
    assert not view.is_defunct
    third, other = await stack.open("Third"), await stack.open("Other")
    assert (third.mailbox_id, third.uidvalidity) == (view.mailbox_id, view.uidvalidity)
    assert await subjects(third) == {1: message(1)}
    await until_held(other, 1)
    assert await subjects(other) == {1: message(2)}


async def test_a_mailbox_made_is_there_although_the_mailboxes_cannot_be_listed(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders")
        await stack.open()
        user, context, told = await stack.user(), stack.engine().context, asyncio.Event()
        await silence(stack, backend)
        backend.faults.fail_next(Operation.LIST_MAILBOXES, errors.RateLimited("later", retry_after_s=0.0))
        context.bus.subscribe_tree(context.account_id, lambda _: told.set())
        made = await user.create("One/Two")
        assert (await user.row("One/Two")).object_id == made
        async with asyncio.timeout(PATIENT_S):
            while ("One",) not in {row.path for row in await context.rows()}:
                told.clear()
                await told.wait()


@pytest.mark.parametrize("operation", [Operation.CREATE_MAILBOX, Operation.DELETE_MAILBOX, Operation.RENAME_MAILBOX])
async def test_a_change_whose_answer_is_lost_has_the_mailboxes_listed(tmp_path: Path, operation: Operation) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders")
        await stack.open()
        user, context, told = await stack.user(), stack.engine().context, asyncio.Event()
        await user.create("Box")
        await silence(stack, backend)
        before = await context.rows()
        backend.faults.fail_after_doing(operation)
        if operation is Operation.RENAME_MAILBOX:
            # It looks by itself.
            backend.faults.fail_next(Operation.LIST_MAILBOXES, errors.RateLimited("later", retry_after_s=0.0))
        context.bus.subscribe_tree(context.account_id, lambda _: told.set())
        changes: dict[Operation, Callable[[], Awaitable[object]]] = {
            Operation.CREATE_MAILBOX: lambda: user.create("New"),
            Operation.DELETE_MAILBOX: lambda: user.delete("Box"),
            Operation.RENAME_MAILBOX: lambda: user.rename("Box", "New"),
        }
        with pytest.raises(MailError) as unknown:
            await changes[operation]()
        assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
        async with asyncio.timeout(PATIENT_S):
            while {row.path for row in await context.rows()} == {row.path for row in before}:
                told.clear()
                await told.wait()
