from __future__ import annotations

import asyncio
from array import array

from gateway.mailbox.sorting import sorted_by
from gateway.message.long_sort import SORTED_AT_ONCE


async def test_others_have_their_turn_while_many_are_sorted() -> None:
    count = 3 * SORTED_AT_ONCE
    order = array("I", range(count))
    task = asyncio.ensure_future(sorted_by(order, order[::-1], is_reversed=False))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert task.result() == order[::-1]
    assert turns > 3
