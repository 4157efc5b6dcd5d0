from __future__ import annotations

import asyncio

import pytest

from connectors.api.priority import Priority
from connectors.transport.limits import PATIENCE, ConcurrencyLimit, QuotaBudget
from tests.connectors.transport.jumping_clock import JumpingClock, settle

INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND


class Users:
    """Takes permits of a limit and records who got one, in order."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self.limit = limit
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, priority: Priority, permits: int = 1) -> None:
        async def hold() -> None:
            await self.limit.acquire(priority, permits)
            self.served.append(name)

        self.tasks[name] = asyncio.create_task(hold())
        await settle()


async def test_no_more_than_the_limit_hold_a_permit() -> None:
    users = Users(ConcurrencyLimit(2))
    for name in "abc":
        await users.ask(name, INTERACTIVE)
    assert users.served == ["a", "b"]
    users.limit.release()
    await settle()
    assert users.served == ["a", "b", "c"]
    assert users.limit.held == 2


async def test_interactive_requests_overtake_background_ones() -> None:
    users = Users(ConcurrencyLimit(1))
    await users.ask("first", BACKGROUND)
    await users.ask("background", BACKGROUND)
    await users.ask("interactive", INTERACTIVE)
    users.limit.release()
    await settle()
    assert users.served == ["first", "interactive"]


async def test_the_background_is_not_starved() -> None:
    users = Users(ConcurrencyLimit(1))
    await users.ask("first", INTERACTIVE)
    await users.ask("background", BACKGROUND)
    for number in range(2 * PATIENCE):
        await users.ask(str(number), INTERACTIVE)
    for _ in range(PATIENCE + 1):
        users.limit.release()
        await settle()
    assert users.served == ["first", "0", "1", "2", "3", "background"]
    for task in users.tasks.values():
        task.cancel()


async def test_a_limit_can_be_raised_and_lowered_while_in_use() -> None:
    users = Users(ConcurrencyLimit(1))
    for name in "abcd":
        await users.ask(name, INTERACTIVE)
    users.limit.resize(3)
    await settle()
    assert users.served == ["a", "b", "c"]
    users.limit.resize(0)
    assert users.limit.limit == 1
    users.limit.release()
    users.limit.release()
    await settle()
    assert users.served == ["a", "b", "c"]
    users.limit.release()
    await settle()
    assert users.served == ["a", "b", "c", "d"]


async def test_a_cancelled_wait_leaves_no_permit_behind() -> None:
    users = Users(ConcurrencyLimit(1))
    for name in "abc":
        await users.ask(name, INTERACTIVE)
    users.tasks["b"].cancel()
    await settle()
    users.limit.release()
    await settle()
    assert users.served == ["a", "c"]
    assert users.limit.held == 1


async def test_a_permit_granted_to_one_just_cancelled_goes_on_to_the_next() -> None:
    users = Users(ConcurrencyLimit(1))
    for name in "abc":
        await users.ask(name, INTERACTIVE)
    users.limit.release()
    users.tasks["b"].cancel()
    await settle()
    assert users.served == ["a", "c"]


async def test_several_permits_are_given_together() -> None:
    users = Users(ConcurrencyLimit(4))
    await users.ask("one", INTERACTIVE)
    await users.ask("four", INTERACTIVE, 4)
    await users.ask("another", INTERACTIVE)
    assert users.served == ["one"]
    users.limit.release()
    await settle()
    assert users.served == ["one", "four"]
    assert users.limit.held == 4
    users.limit.release(4)
    await settle()
    assert users.served == ["one", "four", "another"]
    assert users.limit.held == 1


async def test_who_asks_for_more_permits_than_there_are_gets_them_alone() -> None:
    users = Users(ConcurrencyLimit(2))
    await users.ask("one", INTERACTIVE)
    await users.ask("four", INTERACTIVE, 4)
    await users.ask("another", INTERACTIVE)
    users.limit.release()
    await settle()
    assert users.served == ["one", "four"]
    users.limit.release(4)
    await settle()
    assert users.served == ["one", "four", "another"]


async def test_giving_up_on_several_permits_lets_those_behind_through() -> None:
    users = Users(ConcurrencyLimit(4))
    await users.ask("one", INTERACTIVE)
    await users.ask("four", INTERACTIVE, 4)
    await users.ask("another", INTERACTIVE)
    users.tasks["four"].cancel()
    await settle()
    assert users.served == ["one", "another"]
    assert users.limit.held == 2


async def test_permits_granted_to_one_just_cancelled_are_all_given_back() -> None:
    users = Users(ConcurrencyLimit(4))
    await users.ask("four", INTERACTIVE, 4)
    await users.ask("three", INTERACTIVE, 3)
    users.limit.release(4)
    users.tasks["three"].cancel()
    await settle()
    assert users.served == ["four"]
    assert users.limit.held == 0


async def test_a_permit_is_given_back_after_an_error() -> None:
    limit = ConcurrencyLimit(1)

    async def fail() -> None:
        async with limit.permit(INTERACTIVE):
            assert limit.held == 1
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert limit.held == 0


# -- the budget -------------------------------------------------------------------------------------------------------


async def test_a_full_bucket_is_spent_without_waiting() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 60.0, clock)
    for _ in range(10):
        await budget.spend(10, INTERACTIVE)
    assert clock.slept == []


async def test_an_empty_bucket_makes_wait_for_exactly_what_is_missing() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(60, 60.0, clock)
    await budget.spend(60, INTERACTIVE)
    await budget.spend(5, INTERACTIVE)
    assert clock.monotonic() == pytest.approx(5.0)
    await budget.spend(7, INTERACTIVE)
    assert clock.monotonic() == pytest.approx(12.0)


async def test_the_bucket_does_not_overflow() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(60, 60.0, clock)
    clock.advance(3600)
    await budget.spend(60, INTERACTIVE)
    await budget.spend(1, INTERACTIVE)
    assert clock.slept == [pytest.approx(1.0)]


async def test_the_background_leaves_a_reserve() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 100.0, clock)
    await budget.spend(70, BACKGROUND)
    assert budget.delay(10, BACKGROUND) == pytest.approx(5.0)
    assert budget.delay(10, INTERACTIVE) == 0
    await budget.spend(30, INTERACTIVE)
    assert clock.slept == []


async def test_more_than_a_bucket_costs_a_bucket() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(10, 10.0, clock)
    await budget.spend(1000, BACKGROUND)
    await budget.spend(1000, INTERACTIVE)
    assert clock.slept == [pytest.approx(10.0)]


async def test_interactive_spenders_overtake_but_do_not_starve_the_background() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(10, 10.0, clock)
    await budget.spend(10, INTERACTIVE)
    order: list[str] = []

    async def spend(name: str, priority: Priority) -> None:
        await budget.spend(10, priority)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(spend("background", BACKGROUND))
        for number in range(PATIENCE + 2):
            group.create_task(spend(str(number), INTERACTIVE))
    assert order == ["0", "1", "2", "3", "background", "4", "5"]


async def test_large_pieces_in_the_background_hold_small_interactive_ones_up_in_proportion() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 1.0, clock)
    await budget.spend(100, Priority.INTERACTIVE)
    order: list[str] = []

    async def spend(name: str, units: float, priority: Priority) -> None:
        await budget.spend(units, priority)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(spend("batch", 50, Priority.BACKGROUND))
        for number in range(50):
            group.create_task(spend(f"list {number}", 5, Priority.INTERACTIVE))
    assert order.index("batch") == PATIENCE * 50 / 5


async def test_nothing_is_spent_while_the_server_rejects() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(60, 60.0, clock)
    budget.reject(30.0)
    budget.reject(10.0)
    assert budget.delay(0, INTERACTIVE) == pytest.approx(30.0)
    await budget.spend(3, INTERACTIVE)
    assert clock.monotonic() == pytest.approx(33.0)


async def test_what_is_free_does_not_wait() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(60, 60.0, clock)
    budget.reject(30.0)
    await budget.spend(0, BACKGROUND)
    assert clock.slept == []


class StuckClock(JumpingClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def test_a_cancelled_spender_has_spent_nothing_and_lets_the_next_go() -> None:
    clock = StuckClock()
    budget = QuotaBudget(10, 10.0, clock)
    await budget.spend(10, INTERACTIVE)
    first = asyncio.create_task(budget.spend(10, INTERACTIVE))
    second = asyncio.create_task(budget.spend(5, INTERACTIVE))
    await settle()
    clock.advance(5)
    first.cancel()
    await second
    assert budget.delay(5, INTERACTIVE) == pytest.approx(5.0)


@pytest.mark.parametrize(("units", "interval_s"), [(0, 1.0), (1, 0.0), (-1, 1.0)])
def test_a_budget_of_nothing_is_refused(units: float, interval_s: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        QuotaBudget(units, interval_s, JumpingClock())
