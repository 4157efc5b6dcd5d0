from __future__ import annotations

import asyncio
import threading
from array import array
from datetime import UTC, datetime

from connectors.api.types import BytesContent
from connectors.memory.faults import Operation
from gateway.mailbox.sorting import sorted_by
from gateway.mailbox.view import View
from gateway.message.long_sort import SORTED_AT_ONCE
from gateway.wire.sort import SortCriterion, SortField
from tests.stack import PATIENT_S, Stack, message, until_held


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


async def by_arrival(view: View) -> list[int]:
    uids, order = await view.sorter.order((SortCriterion(SortField.ARRIVAL),))
    return [uids[place] for place in order]


async def test_messages_are_sorted_anew_once_one_has_the_date_that_was_asked_for(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    backend.keeps_dates = False
    view, user = await stack.open(), await stack.user()
    await user.append("INBOX", BytesContent(message(1)), (), datetime(2020, 1, 1, tzinfo=UTC))
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    old = datetime(2010, 1, 1, tzinfo=UTC)
    appending = asyncio.create_task(user.append("INBOX", BytesContent(message(2)), (), old))
    await gate.reached()
    # It is read before the append is answered, with the date that the backend has.
    assert await stack.engine().wait_until_read(view.mailbox_id, PATIENT_S)
    await until_held(view, 2)
    assert await by_arrival(view) == [1, 2]
    backend.faults.release(Operation.APPEND, is_after=True)
    await appending
    assert await by_arrival(view) == [2, 1]
