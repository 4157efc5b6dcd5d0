"""How many commands a second all clients send together."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Gives out turns, `rate` of them a second at most; what was not used is not made up for."""

    def __init__(self, rate: float) -> None:
        self._interval_s = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until it is the caller's turn."""
        now = time.monotonic()
        slot = max(now, self._next)
        self._next = slot + self._interval_s
        if slot > now:
            await asyncio.sleep(slot - now)
