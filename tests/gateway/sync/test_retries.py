from __future__ import annotations

import asyncio

from gateway.sync.retries import Retries


async def test_what_is_planned_anew_or_dropped_is_not_done_as_planned_before() -> None:
    done: list[int] = []
    over = asyncio.Event()

    def request(mailbox_id: int) -> None:
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
