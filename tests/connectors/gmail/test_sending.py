from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import OutcomeUnknown, RateLimited, Unavailable
from connectors.api.priority import Priority, prioritised
from connectors.gmail.methods import MESSAGES_GET, PUBSUB_PULL
from connectors.gmail.sending import MAX_WAIT_S, PAUSES, Patience, Sender, decode
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import Label, NoReply
from connectors.transport.messages import Effect
from tests.connectors.gmail.rig import FakeTokens
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.fake import FakeGmail


@pytest.fixture
def sender(fake: FakeGmail, clock: JumpingClock) -> Sender:
    return Sender(GmailSettings(units_per_minute=600.0, cost_overrides="messages.get=7"), FakeTokens(fake), clock=clock)


def test_costs_are_those_of_the_settings(sender: Sender) -> None:
    assert sender.cost(MESSAGES_GET) == 7
    assert sender.cost(PUBSUB_PULL) == 0
    assert sender.burst == 200


async def test_units_are_waited_for(sender: Sender, clock: JumpingClock) -> None:
    await sender.pay(200, "a batch")
    assert clock.monotonic() == 0
    await sender.pay(100, "a batch")
    assert clock.monotonic() == pytest.approx(10)


async def test_the_background_leaves_some_units_to_who_may_come(sender: Sender, clock: JumpingClock) -> None:
    with prioritised(Priority.BACKGROUND):
        await sender.pay(150, "a batch")
    await sender.pay(50, "a batch")
    assert clock.monotonic() == 0


async def test_units_that_come_too_late_are_not_waited_for(sender: Sender, clock: JumpingClock) -> None:
    sender.slow_down(MAX_WAIT_S + 10, is_quota_spent=True)
    with pytest.raises(RateLimited) as caught:
        await sender.pay(10, "a batch")
    assert caught.value.retry_after_s == pytest.approx(MAX_WAIT_S + 11)
    assert clock.slept == []


async def test_a_crowd_does_not_cost_units(sender: Sender, clock: JumpingClock) -> None:
    sender.slow_down(10, is_quota_spent=False)
    await sender.pay(200, "a batch")
    assert clock.slept == []


async def test_a_credential_is_not_waited_for_for_ever(fake: FakeGmail, clock: JumpingClock) -> None:
    sender = Sender(GmailSettings(timeout_s=0.01), FakeTokens(fake), clock=clock)
    with pytest.raises(Unavailable, match="no credential came"):
        await sender.bounded(asyncio.Event().wait(), "a batch")


def test_patience_ends_with_time_and_with_attempts(sender: Sender) -> None:
    patience = Patience(sender)
    patience.refuse()
    patience.wait(MAX_WAIT_S - 10)
    assert patience.bears(10)
    assert not patience.bears(11)
    for _ in range(PAUSES.attempts - 1):
        patience.refuse()
    assert not patience.bears(0)


def test_an_empty_reply_is_one_only_where_none_is_meant() -> None:
    assert decode(b"", NoReply, "x", Effect.READ) == NoReply()
    assert decode(b"{}", NoReply, "x", Effect.WRITE) == NoReply()
    with pytest.raises(Unavailable):
        decode(b"", Label, "x", Effect.IDEMPOTENT_WRITE)
    with pytest.raises(OutcomeUnknown):
        decode(b"<html>", Label, "x", Effect.WRITE)
