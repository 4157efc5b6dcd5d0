"""An account whose server holds each message in one mailbox only, and whose messages keep their refs when they move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.wire.commands import StoreAction
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.server import FakeJmap, running_fake
from tests.gateway.sync.over_jmap import jmap_stack
from tests.stack import PATIENT_S, Stack, message, subjects, until_held


@pytest.fixture
async def fake() -> AsyncIterator[FakeJmap]:
    async with running_fake(FakeOptions(max_mailboxes_per_email=1)) as running:
        yield running


@pytest.fixture
async def stack(tmp_path: Path, fake: FakeJmap) -> AsyncIterator[Stack]:
    async with jmap_stack(tmp_path, fake) as running:
        yield running


async def test_a_message_that_was_moved_and_is_written_to_while_all_is_listed_is_where_it_is(
    stack: Stack, fake: FakeJmap
) -> None:
    ref = fake.deliver("Archive", message(1))
    archive = await stack.open("Archive")
    inbox = await stack.open("INBOX", is_read_only=True)
    await until_held(archive, 1)
    fake.move(ref, "INBOX")
    # So that the write changes nothing, and nothing tells of it later.
    fake.set_keywords(ref, ["$seen"])
    fake.expire_states()
    gate = fake.hold("Email/set")
    async with asyncio.timeout(PATIENT_S):
        storing = asyncio.create_task(archive.store([1], StoreAction.ADD, ["\\Seen"]))
        await gate.arrived()
        reading = asyncio.create_task(stack.engine().wait_until_read(inbox.mailbox_id, PATIENT_S))
        # The last page is the one with nothing behind the last message.
        listed = fake.hold("Email/query")
        await listed.arrived()
        listed.release()
        after = fake.hold("Email/query")
        await after.arrived()
        after.release()
        await asyncio.sleep(0)
        gate.release()
        await storing
        assert await reading
        assert await stack.engine().wait_until_read(inbox.mailbox_id, PATIENT_S)
    await until_held(inbox, 1)
    assert await subjects(inbox) == {1: message(1)}
    await until_held(archive, 0)
