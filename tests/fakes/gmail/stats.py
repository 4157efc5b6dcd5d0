"""What was asked of a stand-in, and what was wrong with it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_JOURNAL_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Served:
    """One call: method id, path parameters, query, units, and the HTTP status of its answer (0: cut off)."""

    method: str
    path: dict[str, str]
    query: tuple[tuple[str, str], ...]
    units: int
    status: int


@dataclass(slots=True)
class Stats:
    """Counters since the start or the last `clear`. `requests` counts HTTP: a batch is one, and its parts are calls."""

    requests: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    violations: list[str] = field(default_factory=list)
    journal: deque[Served] = field(default_factory=lambda: deque(maxlen=_JOURNAL_LENGTH))

    @property
    def total_units(self) -> int:
        """All units spent."""
        return self.units.total()

    def clear(self) -> None:
        """Begin to count anew; violations stay."""
        self.requests = self.most_at_once = 0
        for each in (self.calls, self.units, self.refusals, self.journal):
            each.clear()

    def resource(self) -> dict[str, Any]:
        """Return the whole as JSON."""
        return {
            "requests": self.requests,
            "calls": dict(self.calls),
            "units": dict(self.units),
            "total_units": self.total_units,
            "refusals": dict(self.refusals),
            "most_at_once": self.most_at_once,
            "violations": list(self.violations),
        }
