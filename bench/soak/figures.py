"""What is counted during a soak: commands and how long they took, errors by kind, and what must not be."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_KEPT_VIOLATIONS = 1000


@dataclass(frozen=True, slots=True)
class Minute:
    """One line of progress. Times in milliseconds; `errors_in_calm` came while nothing was down."""

    number: int
    commands: int
    p50_ms: float
    p99_ms: float
    errors: int
    errors_in_calm: int
    copies: int
    rss_mb: float
    open_files: int
    violations: int

    def __str__(self) -> str:
        return (
            f"minute {self.number:3}  {self.commands:6} commands  "
            f"p50 {self.p50_ms:7.2f} ms  p99 {self.p99_ms:8.2f} ms  "
            f"errors {self.errors:4} (calm {self.errors_in_calm})  copies {self.copies:6}  RSS {self.rss_mb:6.1f} MB  "
            f"files {self.open_files:4}  violations {self.violations}"
        )


@dataclass(slots=True)
class Figures:
    """Filled by the clients, read every minute and at the end.

    `is_calm` tells whether backend and gateway are up, and have been for a while.
    """

    is_calm: Callable[[], bool]
    say: Callable[[str], None]
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    errors_in_calm: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    _minute_ms: list[float] = field(default_factory=list)
    _errors_before: tuple[int, int] = (0, 0)

    def took(self, kind: str, seconds: float) -> None:
        """Count a command that was answered with OK."""
        self.times_ms.setdefault(kind, []).append(seconds * 1000)
        self._minute_ms.append(seconds * 1000)

    def failed(self, kind: str) -> None:
        """Count an error, and tell of the first of its kind."""
        if kind not in self.errors:
            self.say(f"the first of its kind: {kind}")
        self.errors[kind] += 1
        if self.is_calm():
            self.errors_in_calm[kind] += 1

    def violated(self, text: str) -> None:
        """Note what must not be."""
        self.say(f"VIOLATION {text}")
        if len(self.violations) < _KEPT_VIOLATIONS:
            self.violations.append(text)

    def minute(self, number: int, *, copies: int, rss_mb: float, open_files: int) -> Minute:
        """Return what happened since the last call."""
        times, self._minute_ms = self._minute_ms, []
        totals = (self.errors.total(), self.errors_in_calm.total())
        before, self._errors_before = self._errors_before, totals
        return Minute(
            number,
            len(times),
            *percentiles(times),
            totals[0] - before[0],
            totals[1] - before[1],
            copies,
            rss_mb,
            open_files,
            len(self.violations),
        )


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the median and the longest but one in a hundred; 0 where there is nothing."""
    if len(times) < 2:
        return (times[0], times[0]) if times else (0.0, 0.0)
    return statistics.median(times), statistics.quantiles(times, n=100)[-1]
