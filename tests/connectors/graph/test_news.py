"""Changes are merged, and told of each mailbox no more than once a second."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.types import MailboxRef
from connectors.graph.news import PACE_S, News, nap
from tests.connectors.graph.stepping_clock import SteppingClock
from tests.connectors.transport.jumping_clock import settle

A, B = MailboxRef("a"), MailboxRef("b")


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def news(clock: SteppingClock) -> News:
    return News(clock)


async def test_what_has_changed_is_told_at_once(news: News) -> None:
    waiting = asyncio.create_task(news.take())
    await settle()
    assert not waiting.done()
    news.add(A)
    assert await waiting == [A]


async def test_changes_of_one_mailbox_are_merged(news: News) -> None:
    for mailbox in (A, B, A, None, A):
        news.add(mailbox)
    assert await news.take() == [A, B, None]


async def test_a_mailbox_is_told_of_again_after_a_while_but_another_at_once(news: News, clock: SteppingClock) -> None:
    news.add(A)
    await news.take()
    news.add(A)
    waiting = asyncio.create_task(news.take())
    await settle()
    clock.advance(PACE_S / 2)
    await settle()
    assert not waiting.done()
    news.add(B)
    assert await waiting == [B]
    waiting = asyncio.create_task(news.take())
    await settle()
    clock.advance(PACE_S / 2)
    assert await waiting == [A]


async def test_a_change_is_not_lost_with_whoever_stopped_waiting(news: News) -> None:
    waiting = asyncio.create_task(news.take())
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    news.add(A)
    assert await news.take() == [A]


async def test_a_nap_ends_with_its_time_or_when_stirred(clock: SteppingClock) -> None:
    stirred = asyncio.Event()
    napping = asyncio.create_task(nap(clock, 5.0, stirred))
    await settle()
    clock.advance(4.9)
    await settle()
    assert not napping.done()
    clock.advance(0.1)
    await napping
    napping = asyncio.create_task(nap(clock, 5.0, stirred))
    await settle()
    stirred.set()
    await napping
    assert clock.sleepers == 0
