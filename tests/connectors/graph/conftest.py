"""A stand-in of Graph on a clock that sleeping moves, and the connector's shared state over it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.connectors.graph.writing_rig import MakeRig, Rig, rig_of
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def fake(clock: JumpingClock) -> AsyncIterator[FakeGraph]:
    fake = FakeGraph(GraphOptions(), clock=clock)
    yield fake
    assert fake.violations == []


@pytest.fixture
async def make_rig(fake: FakeGraph, clock: JumpingClock) -> AsyncIterator[MakeRig]:
    made: list[Rig] = []

    def make(**settings: object) -> Rig:
        made.append(rig_of(fake, clock, **settings))
        return made[-1]

    yield make
    for rig in made:
        await rig.client.close()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()
