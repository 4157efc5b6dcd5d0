"""What happens at a JMAP server that pushes is announced to clients at once; the next look is an hour away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from statistics import median

import pytest

from tests.fakes.jmap.options import FakeOptions
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside_jmap import OutsideJmap, outside_jmap
from tests.scenarios.samples import date_of, sample
from tests.scenarios.serving import Served, serving

INBOX = ("INBOX",)
ANNOUNCED_S = 1.0

WITH_WEB_SOCKET = FakeOptions(websocket=True)

pytestmark = pytest.mark.parametrize(
    ("options", "push", "used"),
    [
        pytest.param(FakeOptions(), "auto", "events", id="event source"),
        pytest.param(WITH_WEB_SOCKET, "eventsource", "events", id="event source by setting"),
        pytest.param(WITH_WEB_SOCKET, "auto", "websocket", id="WebSocket"),
    ],
)


@pytest.fixture
async def outside(options: FakeOptions, push: str) -> AsyncIterator[OutsideJmap]:
    async with outside_jmap(options, push) as outside:
        yield outside


@pytest.fixture
async def served(outside: OutsideJmap, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("gateway"), outside) as served:
        await served.settle_mailbox(INBOX)
        yield served


async def idling(served: Served) -> LineClient:
    client = await served.log_in()
    await client.ask(b"a SELECT INBOX")
    client.write(b"b IDLE\r\n")
    await client.expect(b"+ ")
    return client


async def announced_after(client: LineClient, cause: Callable[[], object], line: bytes) -> float:
    """Return how many seconds after `cause` the line has come."""
    begun = time.monotonic()
    cause()
    await client.lines_to(line)
    return time.monotonic() - begun


async def test_mail_is_announced_within_a_second(served: Served, outside: OutsideJmap, used: str) -> None:
    client = await idling(served)

    def deliver(number: int) -> None:
        outside.deliver(INBOX, sample(str(number)), frozenset(), date_of(number))

    times = [await announced_after(client, partial(deliver, number), b"* %d EXISTS" % number) for number in range(1, 6)]
    # One may be late on a machine that has much to do.
    assert median(times) < ANNOUNCED_S
    kinds = {"events", "websocket"}
    assert {kind for kind in kinds if outside.fake.stats.requests[kind]} == {used}


@pytest.mark.usefixtures("used")
async def test_flags_and_removals_are_announced_within_a_second(served: Served, outside: OutsideJmap) -> None:
    for number in (1, 2, 3):
        outside.deliver(INBOX, sample(str(number)), frozenset(), date_of(number))
    await served.settle_mailbox(INBOX)
    client = await idling(served)
    times = [
        await announced_after(
            client, lambda: outside.set_flags(INBOX, 2, frozenset({"\\Flagged"})), b"* 2 FETCH (UID 2 FLAGS (\\Flagged"
        ),
        await announced_after(client, lambda: outside.remove(INBOX, 1), b"* 1 EXPUNGE"),
        await announced_after(client, lambda: outside.remove(INBOX, 3), b"* 2 EXPUNGE"),
    ]
    assert median(times) < ANNOUNCED_S


@pytest.mark.usefixtures("used")
async def test_mail_is_announced_after_the_push_connection_was_lost(served: Served, outside: OutsideJmap) -> None:
    client = await idling(served)
    outside.fake.drop_connections()
    outside.deliver(INBOX, sample("1"), frozenset(), date_of(1))
    await client.lines_to(b"* 1 EXISTS")
