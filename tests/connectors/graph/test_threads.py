"""Work in threads of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.api.errors import Unavailable
from connectors.graph.threads import in_own_thread


async def test_the_result_comes_back_from_another_thread() -> None:
    assert await in_own_thread(lambda: threading.current_thread().name) == "graph login"


async def test_what_is_raised_comes_back_too() -> None:
    def fail() -> None:
        raise Unavailable("out of reach")

    with pytest.raises(Unavailable, match="out of reach"):
        await in_own_thread(fail)


async def test_it_does_not_wait_for_the_pool_of_the_loop_nor_hold_it_up() -> None:
    pool, busy = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(pool)
    blocked = asyncio.create_task(asyncio.to_thread(busy.wait))
    try:
        async with asyncio.timeout(10):
            assert await in_own_thread(lambda: 1) == 1
            hanging = threading.Event()
            waiting = asyncio.create_task(in_own_thread(hanging.wait))
            busy.set()
            assert await asyncio.to_thread(lambda: 2) == 2
            hanging.set()
            assert await waiting
    finally:
        busy.set()
        await blocked


async def test_who_is_cancelled_leaves_the_work_to_its_end() -> None:
    begun, hanging, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        hanging.wait()
        ended.set()

    waiting = asyncio.create_task(in_own_thread(work))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    hanging.set()
    await asyncio.to_thread(ended.wait)
