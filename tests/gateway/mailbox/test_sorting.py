from __future__ import annotations

import asyncio
import threading
from array import array

from gateway.mailbox.sorting import sorted_by
from gateway.message.long_sort import SORTED_AT_ONCE
from tests.stack import PATIENT_S


class Held(list[int]):
    """Numbers that can be looked at only once others have had their turn."""

    def __init__(self, numbers: array[int], others: threading.Event) -> None:
        super().__init__(numbers)
        self._others = others

    def __getitem__(self, place: int) -> int:  # type: ignore[override]
        assert self._others.wait(PATIENT_S)
        return super().__getitem__(place)


async def test_others_have_their_turn_while_many_are_sorted() -> None:
    order, others = array("I", range(3 * SORTED_AT_ONCE)), threading.Event()
    task = asyncio.ensure_future(sorted_by(order, Held(order[::-1], others), is_reversed=False))
    await asyncio.sleep(0)
    others.set()
    assert await task == order[::-1]
