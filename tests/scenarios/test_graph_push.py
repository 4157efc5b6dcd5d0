"""What happens at Graph is announced to clients when it is posted to the gateway; the next look is an hour away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from tests.connectors.graph.ports import free_address
from tests.scenarios.line_client import PATIENCE_S, LineClient
from tests.scenarios.outside_graph import OutsideGraphApi, outside_graph
from tests.scenarios.samples import date_of, sample
from tests.scenarios.serving import Served, serving

INBOX = ("INBOX",)
ANNOUNCED_S = 1.0


@pytest.fixture
async def outside() -> AsyncIterator[OutsideGraphApi]:
    listen = free_address()
    async with outside_graph() as outside:
        outside.settings |= {"notification_url": f"http://{listen}/graph", "notification_listen": str(listen)}  # type: ignore[operator]
        posting = asyncio.create_task(outside.fake.subscriptions.run())
        try:
            yield outside
        finally:
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            await outside.fake.subscriptions.close()


@pytest.fixture
async def served(outside: OutsideGraphApi, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside) as served:
        await served.settle_mailbox(INBOX)
        yield served
    assert outside.fake.subscriptions.active() == []


async def idling(served: Served, outside: OutsideGraphApi, mailbox: bytes, watched: int) -> LineClient:
    """Return a client that is told of a mailbox, once so many folders are watched."""
    client = await served.log_in()
    await client.ask(b"a SELECT " + mailbox)
    client.write(b"b IDLE\r\n")
    await client.expect(b"+ ")
    async with asyncio.timeout(PATIENCE_S):
        while len(outside.fake.subscriptions.active()) < watched:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0)
    return client


async def announced_after(client: LineClient, cause: Callable[[], object], line: bytes) -> float:
    """Return how many seconds after `cause` the line has come."""
    begun = time.monotonic()
    cause()
    await client.lines_to(line)
    return time.monotonic() - begun


async def test_mail_is_announced_within_a_second(served: Served, outside: OutsideGraphApi) -> None:
    client = await idling(served, outside, b"INBOX", 1)

    def deliver(number: int) -> None:
        outside.deliver(INBOX, sample(str(number)), frozenset(), date_of(number))

    times = [await announced_after(client, partial(deliver, number), b"* %d EXISTS" % number) for number in range(1, 6)]
    # One may be late on a machine that has much to do.
    assert median(times) < ANNOUNCED_S


async def test_flags_and_removals_are_announced(served: Served, outside: OutsideGraphApi) -> None:
    for number in (1, 2, 3):
        outside.deliver(INBOX, sample(str(number)), frozenset(), date_of(number))
    await served.settle_mailbox(INBOX)
    client = await idling(served, outside, b"INBOX", 1)
    outside.set_flags(INBOX, 2, frozenset({"\\Seen", "\\Flagged"}))
    assert b"\\Flagged" in (await client.lines_to(b"* 2 FETCH (UID 2 FLAGS ("))[-1]
    outside.remove(INBOX, 1)
    await client.lines_to(b"* 1 EXPUNGE")


async def test_mail_is_announced_in_a_folder_that_is_open(served: Served, outside: OutsideGraphApi) -> None:
    await served.settle_mailbox(("Archives",))
    client = await idling(served, outside, b"Archives", 2)
    outside.deliver(("Archives",), sample("1"), frozenset(), date_of(1))
    await client.lines_to(b"* 1 EXISTS")


async def test_mail_is_announced_after_graph_has_removed_the_subscription(
    served: Served, outside: OutsideGraphApi
) -> None:
    client = await idling(served, outside, b"INBOX", 1)
    outside.fake.subscriptions.lifecycle("subscriptionRemoved")
    outside.deliver(INBOX, sample("1"), frozenset(), date_of(1))
    await client.lines_to(b"* 1 EXISTS")
