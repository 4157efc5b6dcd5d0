"""A stand-in on a clock that a test moves, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.graph.client import Client
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def fake(clock: ManualClock) -> FakeGraph:
    return FakeGraph(GraphOptions(), clock=clock)


@pytest.fixture
async def graph(fake: FakeGraph) -> AsyncIterator[Client]:
    client = Client(fake)
    async with client.http:
        yield client
