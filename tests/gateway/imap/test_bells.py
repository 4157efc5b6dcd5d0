from __future__ import annotations

import asyncio
from functools import partial

from gateway.imap.bells import AT_ONCE, Bells


async def test_many_are_woken_some_in_each_turn_of_the_loop_and_in_order() -> None:
    bells = Bells()
    rung: list[int] = []
    for number in range(2 * AT_ONCE + 1):
        bells.ring(partial(rung.append, number))
    counts = [len(rung)]
    for _ in range(4):
        await asyncio.sleep(0)
        counts.append(len(rung))
    assert counts == [0, AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 1]
    assert rung == sorted(rung)


async def test_a_bell_is_rung_once_however_often_it_is_asked_for() -> None:
    bells = Bells()
    rung: list[int] = []
    bell = partial(rung.append, 1)
    bells.ring(bell)
    bells.ring(bell)
    await asyncio.sleep(0)
    assert rung == [1]
    bells.ring(bell)
    await asyncio.sleep(0)
    assert rung == [1, 1]


async def test_one_that_asks_while_others_are_rung_comes_after_them() -> None:
    bells = Bells()
    rung: list[str] = []

    def late() -> None:
        rung.append("late")

    def first() -> None:
        rung.append("first")
        bells.ring(late)

    bells.ring(first)
    bells.ring(partial(rung.append, "second"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert rung == ["first", "second", "late"]
