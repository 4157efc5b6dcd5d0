"""Changes are merged, and told of each mailbox no more than so often."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.types import MailboxRef
from connectors.graph.news import BURST, EACH_S, News, nap
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


async def exhaust(news: News, mailbox: MailboxRef) -> None:
    """Have a mailbox told of as often as it is at once."""
    for _ in range(BURST):
        news.add(mailbox)
        assert await news.take() == [mailbox]


async def test_a_mailbox_that_goes_on_changing_waits_but_another_does_not(news: News, clock: SteppingClock) -> None:
    await exhaust(news, A)
    news.add(A)
    waiting = asyncio.create_task(news.take())
    await settle()
    clock.advance(EACH_S / 2)
    await settle()
    assert not waiting.done()
    news.add(B)
    assert await waiting == [B]
    waiting = asyncio.create_task(news.take())
    await settle()
    clock.advance(EACH_S / 2)
    assert await waiting == [A]


async def rest_of(news: News, clock: SteppingClock, mailbox: MailboxRef) -> float:
    """Change a mailbox, and return after how many seconds it is told of."""
    news.add(mailbox)
    waiting = asyncio.create_task(news.take())
    await settle()
    begun = clock.monotonic()
    while not waiting.done():
        clock.advance(EACH_S / 4)
        await settle()
    return clock.monotonic() - begun


async def test_a_mailbox_that_goes_on_changing_is_told_of_in_even_steps(news: News, clock: SteppingClock) -> None:
    rests = [await rest_of(news, clock, A) for _ in range(BURST + 3)]
    assert rests == [0.0] * BURST + [EACH_S] * 3


async def test_a_mailbox_that_was_quiet_is_told_of_at_once_again(news: News, clock: SteppingClock) -> None:
    await exhaust(news, A)
    clock.advance(2 * EACH_S)
    assert [await rest_of(news, clock, A) for _ in range(3)] == [0.0, 0.0, EACH_S]
    clock.advance(100 * EACH_S)
    await exhaust(news, A)


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
