from __future__ import annotations

import asyncio

from gateway.sync.lull import PATIENCE_S, QUIET_S, Lull
from tests.simulated_loop import SimulatedClock, run_simulated


def test_without_writes_there_is_nothing_to_wait_for() -> None:
    async def body() -> None:
        assert Lull(SimulatedClock()).left_s() == 0
        await Lull(SimulatedClock()).wait()

    run_simulated(1, body())


def test_it_comes_a_moment_after_the_last_write() -> None:
    async def body() -> None:
        clock = SimulatedClock()
        lull = Lull(clock)
        with lull.writing():
            assert lull.left_s() > 0
        began = clock.monotonic()
        await lull.wait()
        assert QUIET_S <= clock.monotonic() - began < 2 * QUIET_S
        assert lull.left_s() == 0

    run_simulated(1, body())


def test_a_burst_that_does_not_end_is_not_waited_for_for_ever() -> None:
    async def body() -> None:
        clock = SimulatedClock()
        lull = Lull(clock)

        async def write() -> None:
            while True:
                with lull.writing():
                    await asyncio.sleep(QUIET_S / 10)

        writing = asyncio.create_task(write())
        await asyncio.sleep(QUIET_S)
        began = clock.monotonic()
        await lull.wait()
        assert PATIENCE_S - QUIET_S < clock.monotonic() - began < PATIENCE_S + QUIET_S
        writing.cancel()

    run_simulated(1, body())
