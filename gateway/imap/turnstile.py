"""Waking sessions for which something has come: so many in one turn of the loop, the others in the next ones.

When a network comes back, or goes, thousands of clients have something to say in the same moment. To answer all of them
in one turn of the loop takes half a second, and nothing else happens meanwhile: no timer, no greeting, no handshake, no
news of another mailbox.
"""

from __future__ import annotations

import asyncio
from collections import deque

AT_ONCE = 32
"""Sessions woken in one turn of the loop; a command of each takes a few milliseconds in all."""


class Turnstile:
    """One for all sessions of a process. First come, first served; while few come it keeps nobody waiting."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._passed = 0
        self._is_turn_due = False

    def wake(self, waiter: asyncio.Future[bool]) -> None:
        """Resolve `waiter` with True, now or in a later turn; done by then, it is left as it is."""
        if waiter.done():
            return
        if self._may_pass(waiter.get_loop()):
            waiter.set_result(True)
        else:
            self._waiting.append(waiter)

    async def pass_through(self) -> None:
        """Go on, now or in a later turn: for sessions that have waited for the same thing, other than their client."""
        loop = asyncio.get_running_loop()
        if not self._may_pass(loop):
            waiter: asyncio.Future[bool] = loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def _may_pass(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Count one more of this turn, unless there were enough, or some wait still."""
        if not self._is_turn_due:
            self._is_turn_due = True
            loop.call_soon(self._take_turn, loop)
        elif self._passed >= AT_ONCE or self._waiting:
            return False
        self._passed += 1
        return True

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._passed = 0
        while self._waiting and self._passed < AT_ONCE:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                self._passed += 1
        self._is_turn_due = self._passed > 0
        if self._is_turn_due:
            loop.call_soon(self._take_turn, loop)


def resolve(future: asyncio.Future[bool], result: bool) -> None:
    """Give a future its result, unless it has one."""
    if not future.done():
        future.set_result(result)
