"""A clock on which whoever sleeps wakes up when a test has moved it so far."""

from __future__ import annotations

import asyncio

from tests.manual_clock import ManualClock


class SteppingClock(ManualClock):
    """Stands still until `advance`, which wakes the sleepers whose time has come."""

    def __init__(self) -> None:
        super().__init__()
        self._sleeping: dict[asyncio.Future[None], float] = {}

    @property
    def sleepers(self) -> int:
        """How many sleep."""
        return len(self._sleeping)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping[waking] = self.monotonic() + seconds
        try:
            await waking
        finally:
            del self._sleeping[waking]

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for waking, until in self._sleeping.items():
            # Sums of floats are a little less than they should be now and then.
            if until <= self.monotonic() + 1e-9 and not waking.done():
                waking.set_result(None)
