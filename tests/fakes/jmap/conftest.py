"""A stand-in on the network and a client logged in to it, for the tests of the stand-in itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.server import running_fake


@pytest.fixture
def options() -> FakeOptions:
    """What the stand-in of a test is like; a test module or a parameter may say otherwise."""
    return FakeOptions()


@pytest.fixture
async def fake(options: FakeOptions) -> AsyncIterator[FakeJmap]:
    async with running_fake(options) as served:
        yield served


@pytest.fixture
async def client(fake: FakeJmap) -> AsyncIterator[Client]:
    async with Client(fake) as opened:
        yield opened
