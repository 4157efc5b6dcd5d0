"""Never more than so much in any minute, and no slower than need be."""

from __future__ import annotations

import asyncio
import random

import pytest

from connectors.api.priority import Priority
from connectors.transport.limits import QuotaBudget
from connectors.transport.window import Window
from tests.connectors.transport.jumping_clock import JumpingClock

INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND
UNITS, MINUTE_S = 6000, 60.0


class Spending:
    """A budget as an account's is: a third at once, and no more than all in a minute. Keeps the books."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        window = Window(UNITS, MINUTE_S, self.clock)
        self.budget = QuotaBudget(UNITS / 3, MINUTE_S / 3, self.clock, window)
        self.book: list[tuple[float, float]] = []

    async def spend(self, units: float, priority: Priority = INTERACTIVE) -> None:
        await self.budget.spend(units, priority)
        self.book.append((self.clock.monotonic(), units))

    def most_in_a_minute(self) -> float:
        return max(
            sum(units for moment, units in self.book if start <= moment < start + MINUTE_S) for start, _ in self.book
        )


@pytest.mark.parametrize("priority", [INTERACTIVE, BACKGROUND])
@pytest.mark.parametrize("units", [5, 20, 50, 1000])
async def test_no_minute_has_more_than_a_minutes_units(priority: Priority, units: int) -> None:
    spending = Spending()
    for _ in range(20_000 // units):
        await spending.spend(units, priority)
    assert spending.most_in_a_minute() <= UNITS
    # Nor is much left unspent: the first minute's at once, and then as much each minute but for the reserve.
    assert spending.clock.monotonic() - spending.book[0][0] <= 20_000 / (UNITS * 11 / 12) * MINUTE_S


async def test_no_minute_has_too_much_however_it_is_spent() -> None:
    spending, random_source = Spending(), random.Random(1)
    async with asyncio.TaskGroup() as group:
        for number in range(1500):
            units, priority = random_source.choice([1, 2, 5, 20, 50, 500]), random_source.choice(list(Priority)[:2])
            group.create_task(spending.spend(units, priority))
            if number % 100 == 0:
                await asyncio.sleep(0)
                spending.clock.advance(random_source.uniform(0, 30))
    assert spending.most_in_a_minute() <= UNITS


async def test_the_ordinary_start_is_not_slowed() -> None:
    """All flags of a large mailbox at once, and the newest hundred messages as fast as without a window."""
    spending = Spending()
    await spending.spend(1270)
    assert spending.clock.slept == []
    await spending.spend(1000)
    await spending.spend(1000)
    bare = QuotaBudget(UNITS / 3, MINUTE_S / 3, JumpingClock())
    await bare.spend(1270, INTERACTIVE)
    await bare.spend(730, INTERACTIVE)
    assert spending.clock.monotonic() == pytest.approx(bare.delay(1270, INTERACTIVE), abs=0.1)


async def test_the_background_leaves_something_of_each_minute() -> None:
    spending = Spending()
    for _ in range(600):
        await spending.spend(20, BACKGROUND)
        slept = len(spending.clock.slept)
        assert spending.budget.delay(480, INTERACTIVE) == 0
        assert len(spending.clock.slept) == slept


async def test_what_was_spent_counts_for_an_interval_and_no_longer() -> None:
    clock = JumpingClock()
    window = Window(10, 60.0, clock)
    window.note(6)
    clock.advance(20)
    window.note(4)
    assert window.delay(0) == 0
    assert window.delay(1) == pytest.approx(40.0)
    assert window.delay(7) == pytest.approx(60.0)
    # More than all is all.
    assert window.delay(1000) == pytest.approx(60.0)
    clock.advance(40)
    assert window.delay(6) == 0
    clock.advance(20)
    assert window.delay(10) == 0


async def test_many_small_pieces_are_remembered_together_and_for_no_shorter() -> None:
    clock = JumpingClock()
    window = Window(10_000, 60.0, clock)
    for _ in range(10_000):
        window.note(1)
        clock.advance(0.001)
    assert len(window._spent) <= 200
    clock.advance(60 - 10)
    assert window.delay(1) > 0


@pytest.mark.parametrize(("units", "interval_s"), [(0, 1.0), (1, 0.0)])
def test_a_window_of_nothing_is_refused(units: float, interval_s: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Window(units, interval_s, JumpingClock())
