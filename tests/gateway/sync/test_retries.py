from __future__ import annotations

import asyncio

from gateway.sync.retries import Retries
from gateway.sync.schedule import Urgency


async def test_what_is_planned_anew_or_dropped_is_not_done_as_planned_before() -> None:
    done: list[int] = []
    over = asyncio.Event()

    def request(mailbox_id: int, urgency: Urgency) -> None:
        assert urgency is Urgency.POLLED
        done.append(mailbox_id)
        over.set()

    retries = Retries(request)
    retries.later(1, 0.0)
    retries.later(1, 3600.0)
    retries.later(2, 0.0)
    retries.drop(2)
    retries.later(3, 0.001)
    await over.wait()
    assert done == [3]
    retries.drop_all()


async def test_of_two_plans_the_earlier_one_holds() -> None:
    done: list[tuple[int, Urgency]] = []
    over = asyncio.Event()

    def request(mailbox_id: int, urgency: Urgency) -> None:
        done.append((mailbox_id, urgency))
        if len(done) == 2:
            over.set()

    retries = Retries(request)
    retries.later(1, 3600.0)
    retries.at_latest(1, 0.001, Urgency.PUSHED)
    retries.later(2, 0.0)
    retries.at_latest(2, 3600.0, Urgency.PUSHED)
    await over.wait()
    assert sorted(done) == [(1, Urgency.PUSHED), (2, Urgency.POLLED)]
    retries.at_latest(2, 0.0, Urgency.PUSHED)
    retries.drop_all()
