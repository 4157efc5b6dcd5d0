"""What was asked of a stand-in, and what was wrong with it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_JOURNAL_LENGTH = 20_000


@dataclass(frozen=True, slots=True)
class Served:
    """One call: operation, path and query as they came, status of its answer (0: cut off), whether in a batch."""

    operation: str
    path: str
    query: tuple[tuple[str, str], ...]
    status: int
    in_batch: bool
    is_immutable: bool


@dataclass(slots=True)
class Stats:
    """Counters since the start or the last `clear`.

    `requests` counts HTTP by operation: a batch is one, `$batch`, and what is in it is counted in `batched`.
    `most_at_once`: the most requests of one mailbox that were under way at a time, a batch counted by those of its
    requests that run side by side. `refusals`: by error code. `tokens`: requests of the token endpoint by grant type.
    """

    requests: Counter[str] = field(default_factory=Counter)
    batched: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    without_immutable_ids: int = 0
    octets_in: int = 0
    octets_out: int = 0
    violations: list[str] = field(default_factory=list)
    journal: deque[Served] = field(default_factory=lambda: deque(maxlen=_JOURNAL_LENGTH))

    @property
    def total_requests(self) -> int:
        """HTTP requests of the API."""
        return self.requests.total()

    @property
    def batch_items(self) -> int:
        """Requests inside batches."""
        return self.batched.total()

    def clear(self) -> None:
        """Begin to count anew; violations stay."""
        self.most_at_once = self.without_immutable_ids = self.octets_in = self.octets_out = 0
        for each in (self.requests, self.batched, self.refusals, self.tokens, self.journal):
            each.clear()

    def resource(self) -> dict[str, Any]:
        """Return the whole as JSON."""
        return {
            "requests": dict(self.requests),
            "total_requests": self.total_requests,
            "batched": dict(self.batched),
            "batch_items": self.batch_items,
            "refusals": dict(self.refusals),
            "tokens": dict(self.tokens),
            "most_at_once": self.most_at_once,
            "without_immutable_ids": self.without_immutable_ids,
            "octets": {"in": self.octets_in, "out": self.octets_out},
            "violations": list(self.violations),
        }
