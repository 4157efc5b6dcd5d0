"""A lull: the moment after a burst of writes at which what is done in the background may take its turn again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.clock import Clock

QUIET_S = 0.25
"""After so long without a write the next is not expected at once."""

PATIENCE_S = 5.0
"""A burst that lasts longer does not hold the background up any more."""


class Lull:
    """Knows when sessions write to an account. A client that appends a thousand messages waits for each in turn, and
    reading what is there already beside it would only make it wait longer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running = 0
        self._last: float | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Mark that a session waits for a write."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._last = self._clock.monotonic()

    def left_s(self) -> float:
        """Return how long to wait at least until it may be a lull; 0 if it is one."""
        if self._running:
            return QUIET_S
        if self._last is None:
            return 0.0
        return max(0.0, self._last + QUIET_S - self._clock.monotonic())

    async def wait(self) -> None:
        """Wait for a lull, for `PATIENCE_S` at most."""
        deadline = self._clock.monotonic() + PATIENCE_S
        while (left_s := min(self.left_s(), deadline - self._clock.monotonic())) > 0:  # noqa: ASYNC110  only time is waited for
            await asyncio.sleep(left_s)
