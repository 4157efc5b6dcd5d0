from __future__ import annotations

import asyncio

import uvloop

from gateway.sync.lull import QUIET_S, Lull
from gateway.sync.retries import WRITE_PAUSE_S, Retries
from gateway.sync.schedule import Urgency
from tests.manual_clock import ManualClock
from tests.simulated_loop import SimulatedClock, run_simulated


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


def test_news_wait_for_a_lull() -> None:
    async def body() -> None:
        done: list[tuple[int, Urgency]] = []
        lull = Lull(SimulatedClock())
        retries = Retries(lambda *asked: done.append(asked))
        retries.at_lull(1, lull)
        assert done == [(1, Urgency.PUSHED)]
        with lull.writing():
            retries.at_lull(2, lull)
            retries.at_lull(2, lull)
            await asyncio.sleep(2 * QUIET_S)
        assert done[1:] == []
        await asyncio.sleep(2 * QUIET_S)
        assert done[1:] == [(2, Urgency.PUSHED)]

    run_simulated(1, body())


def test_news_do_not_wait_for_ever() -> None:
    async def body() -> None:
        done: list[int] = []
        lull = Lull(SimulatedClock())
        retries = Retries(lambda mailbox_id, _: done.append(mailbox_id))
        retries.later(1, 3600.0)
        with lull.writing():
            retries.at_lull(1, lull)
            await asyncio.sleep(WRITE_PAUSE_S + QUIET_S)
            assert done == [1]
        retries.drop_all()

    run_simulated(1, body())


def test_news_may_come_again_in_a_pause_too_short_for_the_loop_to_measure() -> None:
    async def body() -> None:
        done: list[int] = []
        over = asyncio.Event()

        def request(mailbox_id: int, _: Urgency) -> None:
            done.append(mailbox_id)
            over.set()

        clock = ManualClock()
        lull = Lull(clock)
        with lull.writing():
            pass
        clock.advance(QUIET_S - 0.0001)
        retries = Retries(request)
        retries.at_lull(1, lull)
        retries.at_lull(1, lull)
        clock.advance(QUIET_S)
        await over.wait()
        assert done == [1]

    # The handle of such a pause knows no time there.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(body())
