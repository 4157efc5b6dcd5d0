from __future__ import annotations

import asyncio
from itertools import pairwise

from gateway.imap.turnstile import AT_ONCE, Turnstile, resolve

MANY = 3 * AT_ONCE


def waiters(count: int) -> list[asyncio.Future[bool]]:
    loop = asyncio.get_running_loop()
    return [loop.create_future() for _ in range(count)]


def woken(futures: list[asyncio.Future[bool]]) -> int:
    return sum(future.done() for future in futures)


async def test_few_are_woken_at_once() -> None:
    turnstile = Turnstile()
    few = waiters(AT_ONCE)
    for waiter in few:
        turnstile.wake(waiter)
    assert woken(few) == AT_ONCE


async def test_of_many_each_turn_wakes_some_in_the_order_they_came() -> None:
    turnstile = Turnstile()
    many = waiters(MANY)
    for waiter in many:
        turnstile.wake(waiter)
    counts = [woken(many)]
    while counts[-1] < MANY:
        await asyncio.sleep(0)
        counts.append(woken(many))
        assert all(waiter.done() for waiter in many[: counts[-1]])
    assert counts == [AT_ONCE, 2 * AT_ONCE, MANY]


async def test_who_comes_while_others_wait_is_behind_them() -> None:
    turnstile = Turnstile()
    many, (late,) = waiters(MANY), waiters(1)
    for waiter in many:
        turnstile.wake(waiter)
    await asyncio.sleep(0)
    turnstile.wake(late)
    while not late.done():
        assert woken(many) <= MANY
        await asyncio.sleep(0)
    assert woken(many) == MANY


async def test_the_next_turn_begins_anew() -> None:
    turnstile = Turnstile()
    for _ in range(3):
        few = waiters(AT_ONCE)
        for waiter in few:
            turnstile.wake(waiter)
        assert woken(few) == AT_ONCE
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_those_that_wait_no_more_take_nobodys_place() -> None:
    turnstile = Turnstile()
    many = waiters(MANY)
    for waiter in many:
        turnstile.wake(waiter)
    for waiter in many[AT_ONCE : 2 * AT_ONCE]:
        waiter.cancel()
    await asyncio.sleep(0)
    assert all(waiter.done() for waiter in many)


async def test_to_wake_twice_counts_once() -> None:
    turnstile = Turnstile()
    few = waiters(AT_ONCE)
    for waiter in few:
        turnstile.wake(waiter)
        turnstile.wake(waiter)
    assert woken(few) == AT_ONCE


async def test_many_that_learn_of_the_same_thing_go_on_some_at_a_time() -> None:
    turnstile = Turnstile()
    news = asyncio.Event()
    passed: list[int] = []

    async def learn(number: int) -> None:
        await news.wait()
        await turnstile.pass_through()
        passed.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(learn(number))
        await asyncio.sleep(0)
        news.set()
        counts = [0]
        while counts[-1] < MANY:
            await asyncio.sleep(0)
            counts.append(len(passed))
    assert passed == list(range(MANY))
    assert max(later - earlier for earlier, later in pairwise(counts)) == AT_ONCE


async def test_who_is_cancelled_while_waiting_for_a_turn_goes_no_further() -> None:
    turnstile = Turnstile()
    for waiter in waiters(MANY):
        turnstile.wake(waiter)
    task = asyncio.ensure_future(turnstile.pass_through())
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    (last,) = waiters(1)
    turnstile.wake(last)
    assert await last


async def test_a_result_stays() -> None:
    (future,) = waiters(1)
    resolve(future, False)
    resolve(future, True)
    assert not future.result()
