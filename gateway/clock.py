"""Time, passed in wherever something depends on it, so that tests can hold it still."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time in the two ways that a program needs."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC; it may jump when the machine's clock is set."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back. For durations and deadlines."""


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
