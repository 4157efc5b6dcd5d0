from __future__ import annotations

import asyncio
import gc

import pytest

from connectors.transport.closing import unless_closed
from tests.connectors.transport.jumping_clock import settle


class Work:
    """Something to wait for, which knows how it ended."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.how = "not at all"

    async def run(self) -> str:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.how = "cancelled"
            raise
        self.how = "done"
        return "result"


async def test_the_result_is_that_of_what_was_awaited() -> None:
    work, closed = Work(), asyncio.create_task(asyncio.Event().wait())
    work.go_on.set()
    assert await unless_closed(closed, work.run()) == "result"
    closed.cancel()


async def test_an_error_is_raised() -> None:
    async def fail() -> str:
        raise KeyError("x")

    closed = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(KeyError):
        await unless_closed(closed, fail())
    closed.cancel()


async def test_it_is_given_up_when_the_client_is_closed() -> None:
    work, event = Work(), asyncio.Event()
    closed = asyncio.create_task(event.wait())
    waiting = asyncio.create_task(unless_closed(closed, work.run()))
    await settle()
    event.set()
    assert await waiting is None
    assert work.how == "cancelled"


async def test_whoever_is_cancelled_takes_it_along() -> None:
    work, closed = Work(), asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(unless_closed(closed, work.run()))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.how == "cancelled"
    closed.cancel()


async def test_an_error_that_comes_as_it_is_cancelled_is_nobody_s() -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    event = asyncio.Event()

    async def fail() -> str:
        await event.wait()
        raise KeyError("x")

    closed = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(unless_closed(closed, fail()))
    await settle()
    event.set()
    # It fails in this turn; who waits for it would learn of that in the next.
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert told == []
    closed.cancel()
