"""What the stand-in counts and remembers, for tests and for measuring."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that a conforming client does not do. `where` is a method, or a kind of HTTP request."""

    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request. `scheme` is that of its Authorization header, lower case, or empty."""

    kind: str
    method: str
    host: str
    path: str
    scheme: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One method call as it came, back-references not resolved. `error` is the type of error it gave, if any."""

    name: str
    arguments: dict[str, object]
    error: str | None


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset; `exchanges` and `calls` keep the latest only."""

    requests: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    octets_in: int = 0
    octets_out: int = 0
    opened: int = 0
    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    violations: list[Violation] = field(default_factory=list)

    def reset(self) -> None:
        """Start counting anew."""
        for counts in (self.requests, self.methods, self.errors, self.exchanges, self.calls, self.violations):
            counts.clear()
        self.throttled = self.octets_in = self.octets_out = self.opened = 0
