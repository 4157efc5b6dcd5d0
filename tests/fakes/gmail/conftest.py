"""A stand-in on a clock that a test moves, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.gmail.client import Client
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def fake(clock: ManualClock) -> FakeGmail:
    return FakeGmail(FakeOptions(), clock=clock)


@pytest.fixture
async def gmail(fake: FakeGmail) -> AsyncIterator[Client]:
    client = Client(fake)
    async with client.http:
        yield client
