"""RENAME where mailboxes keep their refs: they are told apart by those, whatever is called how meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.jmap.server import FakeJmap, running_fake
from tests.gateway.sync.over_jmap import jmap_stack
from tests.stack import PATIENT_S, Stack, message, subjects, until_held


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
