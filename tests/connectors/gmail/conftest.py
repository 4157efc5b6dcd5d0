"""A stand-in of Gmail on a clock that sleeping moves, and a client of it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.gmail.client import GmailClient
from tests.connectors.gmail.rig import client_of
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def fake(clock: JumpingClock) -> AsyncIterator[FakeGmail]:
    fake = FakeGmail(FakeOptions(), clock=clock)
    yield fake
    assert fake.violations == []


@pytest.fixture
async def client(fake: FakeGmail, clock: JumpingClock) -> AsyncIterator[GmailClient]:
    client = client_of(fake, clock)
    yield client
    await client.close()
