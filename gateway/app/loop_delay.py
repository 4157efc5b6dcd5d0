"""How late the event loop runs: a timer that asks to be called every few milliseconds and sees when it is.

While one piece of work holds the loop, no client is answered. So the delay of the loop bounds from below what anybody
waits for anything, and every piece of work is to be cut so that it stays below `GOAL_S`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.metrics import Gauge, Histogram

log = logging.getLogger(__name__)

INTERVAL_S = 0.01
"""How often it is looked. A hold-up shorter than this may go unseen, a longer one is measured short by at most this."""

GOAL_S = 0.05
"""What the delay is meant to stay below."""

WARNING_PAUSE_S = 60.0
"""The log has at most one line about it in this time."""

_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 5.0)


class LoopDelayProbe:
    """Measures from `start` to `stop`. `warn_s` is the delay above which the log tells of it, in seconds.

    `now` gives seconds that only grow; not the loop's own time, which may be that of the beginning of its turn.
    """

    def __init__(self, warn_s: float = GOAL_S, now: Callable[[], float] = time.monotonic) -> None:
        self.histogram = Histogram(
            "imap_gateway_loop_delay_seconds", "How late the event loop called a timer.", _BOUNDS_S
        )
        self.worst = Gauge(
            "imap_gateway_loop_delay_worst_seconds",
            "The longest that the event loop was late since the start.",
            lambda: self._worst_s,
        )
        self._warn_s = warn_s
        self._now = now
        self._worst_s = 0.0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._told_at_s: float | None = None
        self._untold_s: list[float] = []

    def start(self) -> None:
        """Begin to measure; call it in the loop."""
        self._wait()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._due_s = self._now() + INTERVAL_S
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._look)

    def _look(self) -> None:
        now_s = self._now()
        # A timer may also be called somewhat early: loops count whole milliseconds.
        self.note(max(0.0, now_s - self._due_s), now_s)
        self._wait()

    def note(self, delay_s: float, now_s: float) -> None:
        """Count a delay that was seen at `now_s`."""
        self.histogram.observe(delay_s)
        self._worst_s = max(self._worst_s, delay_s)
        if delay_s > self._warn_s:
            self._untold_s.append(delay_s)
        if self._untold_s and (self._told_at_s is None or now_s - self._told_at_s >= WARNING_PAUSE_S):
            log.warning(
                "the event loop was held up %d times, for at most %.0f ms",
                len(self._untold_s),
                max(self._untold_s) * 1000,
            )
            self._told_at_s = now_s
            self._untold_s.clear()
