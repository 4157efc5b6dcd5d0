from __future__ import annotations

import asyncio
from array import array
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox import sorting

RANKS = st.lists(st.integers(0, 6), max_size=40).map(lambda ranks: array("I", ranks))


@given(RANKS, st.booleans(), st.integers(1, 50), st.randoms())
def test_sorted_in_pieces_it_is_as_sorted_at_once(
    ranks: array[int], is_reversed: bool, at_once: int, chance: Random
) -> None:
    order = list(range(len(ranks)))
    chance.shuffle(order)
    was, sorting.SORTED_AT_ONCE = sorting.SORTED_AT_ONCE, at_once
    try:
        found = asyncio.run(sorting.sorted_by(array("I", order), ranks, is_reversed=is_reversed))
    finally:
        sorting.SORTED_AT_ONCE = was
    sign = -1 if is_reversed else 1
    assert list(found) == sorted(order, key=lambda place: sign * ranks[place])


async def test_others_have_their_turn_while_many_are_sorted() -> None:
    count = 3 * sorting.SORTED_AT_ONCE
    order = array("I", range(count))
    task = asyncio.ensure_future(sorting.sorted_by(order, order[::-1], is_reversed=False))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert task.result() == order[::-1]
    assert turns > 3
