from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.simulated_loop import SimulatedClock, run_simulated


async def _race() -> list[str]:
    """Let threads and tasks come in as they do."""
    told: list[str] = []

    async def thread(number: int) -> None:
        await asyncio.to_thread(told.append, f"thread {number} works")
        told.append(f"thread {number} is done")

    async def task() -> None:
        for turn in range(10):
            told.append(f"turn {turn}")
            await asyncio.sleep(0)

    await asyncio.gather(*map(thread, range(5)), task())
    return told


def test_the_same_seed_gives_the_same_order_and_others_give_others() -> None:
    orders = [run_simulated(seed, _race()) for seed in range(5)]
    assert orders == [run_simulated(seed, _race()) for seed in range(5)]
    assert len({tuple(order) for order in orders}) > 1


def test_time_passes_only_while_all_wait_and_then_at_once() -> None:
    async def main() -> list[float]:
        loop, clock = asyncio.get_running_loop(), SimulatedClock()
        start, began = clock.now(), loop.time()
        passed = []

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            passed.append(loop.time() - began)

        await asyncio.gather(sleep(7200), sleep(3600))
        await clock.sleep(60)
        assert (clock.now() - start).total_seconds() == pytest.approx(7260)
        return passed

    assert run_simulated(1, main()) == pytest.approx([3600, 7200])


def test_one_thread_does_its_work_in_order_and_in_itself() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done: list[int] = []
        seen: list[int] = []
        threads = set()

        def work(number: int) -> int:
            threads.add(threading.get_ident())
            done.append(number)
            return number

        async def ask(number: int) -> None:
            seen.append(await loop.run_in_executor(executor, work, number))

        with ThreadPoolExecutor(1) as executor:
            await asyncio.gather(*map(ask, range(20)))
        assert done == seen == list(range(20))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}

    run_simulated(3, main())


def test_the_error_of_a_thread_is_raised() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    run_simulated(1, main())


def test_work_that_nobody_wants_any_more_is_not_begun() -> None:
    async def main() -> None:
        done: list[int] = []
        task = asyncio.ensure_future(asyncio.to_thread(done.append, 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(1)
        assert task.cancelled()
        assert not done

    run_simulated(2, main())


def test_a_standstill_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="nothing will happen any more"):
        run_simulated(1, main())
