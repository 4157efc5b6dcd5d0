from __future__ import annotations

import asyncio

import pytest

from gateway.sync.guard import WriteGuard
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


async def test_news_of_a_mailbox_that_is_written_to_wait_for_the_write() -> None:
    done: list[tuple[int, Urgency]] = []
    retries, guard = Retries(lambda *asked: done.append(asked)), WriteGuard()
    with guard.writing(["a"]):
        retries.after_write(1, guard)
        retries.after_write(1, guard)
        assert done == []
    assert done == [(1, Urgency.PUSHED)]
    retries.after_write(2, guard)
    assert done[1:] == [(2, Urgency.PUSHED)]


async def test_news_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sync.retries.WRITE_PAUSE_S", 0.001)
    over, guard = asyncio.Event(), WriteGuard()
    retries = Retries(lambda *_: over.set())
    retries.later(1, 3600.0)
    with guard.writing(["a"]):
        retries.after_write(1, guard)
        await over.wait()
    retries.drop_all()
