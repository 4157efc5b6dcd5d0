"""What Microsoft allows at a time and in ten minutes, counted at the stand-in while everything wants something."""

from __future__ import annotations

import asyncio

import pytest

from connectors.graph.batching import BatchItem
from connectors.graph.structs import MailFolder
from connectors.transport.messages import Effect
from tests.connectors.graph.writing_rig import MakeRig
from tests.fakes.graph.fake import FakeGraph


async def crowd(make_rig: MakeRig, **settings: object) -> None:
    """Let batches, chains, calls and streams go at one mailbox together."""
    rig = make_rig(**settings)
    refs = rig.seed("inbox", 20)
    client = rig.client
    inbox = BatchItem("GET", "/mailFolders/inbox")
    chain = [inbox, BatchItem("GET", "/mailFolders/drafts", depends_on=0)]

    async def read(ref: str) -> int:
        async with client.stream(f"/messages/{ref}/$value") as streamed:
            return sum([len(chunk) async for chunk in streamed.chunks()])

    waiting = [
        *(client.batch([inbox] * 20, MailFolder) for _ in range(4)),
        *(client.batch(chain, MailFolder) for _ in range(4)),
        *(client.call("GET", "/mailFolders/inbox", reply=MailFolder, effect=Effect.READ) for _ in range(20)),
        *(read(ref) for ref in refs),
    ]
    results = await asyncio.gather(*waiting)
    assert all(isinstance(folder, MailFolder) for batch in results[:8] if isinstance(batch, list) for folder in batch)


@pytest.mark.parametrize("most", [4, 3, 1])
async def test_never_more_at_a_time_than_is_set(most: int, fake: FakeGraph, make_rig: MakeRig) -> None:
    await crowd(make_rig, max_concurrent=most)
    assert fake.stats.most_at_once == most
    assert fake.stats.refusals == {}
    assert fake.stats.without_immutable_ids == 0


async def test_a_mailbox_that_allows_fewer_at_a_time_gets_fewer(fake: FakeGraph, make_rig: MakeRig) -> None:
    rig = make_rig(max_concurrent=8)
    calls = (rig.client.call("GET", "/mailFolders/inbox", reply=MailFolder, effect=Effect.READ) for _ in range(40))
    folders = await asyncio.gather(*calls)
    assert len(folders) == 40
    assert rig.client.max_concurrent < 8
    assert fake.stats.refusals.total() < 40
