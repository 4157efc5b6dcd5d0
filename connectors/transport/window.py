"""A ceiling on what is spent in any stretch of time, as servers count it: so much in a minute, whenever it begins."""

from __future__ import annotations

from collections import deque
from typing import Final

from connectors.transport.clock import Clock

_STEPS: Final = 600
"""What is spent within one part in so many of the interval is remembered together, with the time of the last."""

_ROUNDING: Final = 1e-6


class Window:
    """At most `units` are spent in any `interval_s` seconds. Whoever spends asks for the `delay` before."""

    def __init__(self, units: float, interval_s: float, clock: Clock) -> None:
        if units <= 0 or interval_s <= 0:
            raise ValueError("a window has more than 0 units in more than 0 seconds")
        self.units = float(units)
        self._interval_s = interval_s
        self._clock = clock
        self._spent: deque[tuple[float, float]] = deque()
        self._began = float("-inf")
        self._sum = 0.0

    def note(self, units: float) -> None:
        """Take note that `units` are spent now."""
        now = self._clock.monotonic()
        if self._spent and now - self._began <= self._interval_s / _STEPS:
            self._spent.append((now, self._spent.pop()[1] + units))
        else:
            self._began = now
            self._spent.append((now, units))
        self._sum += units

    def delay(self, units: float) -> float:
        """Return in how many seconds `units` can be spent if nothing else is; more than all there are count as all."""
        now = self._clock.monotonic()
        while self._spent and self._spent[0][0] + self._interval_s <= now:
            self._sum -= self._spent.popleft()[1]
        excess = self._sum + min(units, self.units) - self.units
        for moment, spent in self._spent:
            if excess <= _ROUNDING:
                return 0.0
            excess -= spent
            if excess <= _ROUNDING:
                return moment + self._interval_s - now
        return 0.0
