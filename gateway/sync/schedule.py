"""Which mailbox is read next, and how long to wait after a failure. Pure; time comes in as an argument."""

from __future__ import annotations

import enum
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field


class Urgency(enum.IntEnum):
    """Why a mailbox is to be read; the smaller goes first."""

    WAITED_FOR = 0
    OPEN = 1
    PUSHED = 2
    INBOX = 3
    POLLED = 4


@dataclass(slots=True)
class Queue:
    """Mailboxes waiting to be read, most urgent first, each at most once."""

    _heap: list[tuple[int, int, int]] = field(default_factory=list)
    _waiting: dict[int, Urgency] = field(default_factory=dict)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, mailbox_id: int, urgency: Urgency) -> None:
        """Ask for a mailbox; one that waits already is moved up if this is more urgent."""
        if self._waiting.get(mailbox_id, Urgency.POLLED + 1) > urgency:
            self._waiting[mailbox_id] = urgency
            heapq.heappush(self._heap, (urgency, next(self._order), mailbox_id))

    def pop(self) -> tuple[int, Urgency] | None:
        """Return the next mailbox and why it is to be read, None if none waits."""
        while self._heap:
            urgency, _, mailbox_id = heapq.heappop(self._heap)
            # A mailbox moved up has left its old entry behind.
            if self._waiting.get(mailbox_id) == urgency:
                return mailbox_id, self._waiting.pop(mailbox_id)
        return None

    def take(self) -> dict[int, Urgency]:
        """Return all that wait, with their urgency, and let none wait any more."""
        taken = dict(self._waiting)
        self._waiting.clear()
        self._heap.clear()
        return taken

    def discard(self, mailbox_id: int) -> None:
        """Forget a mailbox that is gone."""
        self._waiting.pop(mailbox_id, None)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, mailbox_id: int) -> bool:
        return mailbox_id in self._waiting


@dataclass(slots=True)
class Backoff:
    """Growing pauses after failures: `first_s`, doubled each time up to `most_s`, with jitter of a quarter.

    `chance` gives random numbers from 0 to 1.
    """

    first_s: float = 1.0
    most_s: float = 300.0
    chance: Callable[[], float] = random.random
    _failures: int = 0

    def failed(self, at_least_s: float = 0.0) -> float:
        """Count a failure and return how long to pause, in seconds; never shorter than what the backend asked for."""
        pause: float = min(self.first_s * 2**self._failures, self.most_s)
        self._failures = min(self._failures + 1, 32)
        return max(at_least_s, pause * (0.75 + self.chance() / 2))

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0


@dataclass(slots=True)
class Pace:
    """Pauses between looks: the first one anywhere within `interval_s`, the others as long, give or take a tenth.

    So the looks of many accounts that were started at the same moment spread over the interval, and stay so.

    `chance` gives random numbers from 0 to 1.
    """

    interval_s: float
    chance: Callable[[], float] = random.random
    _has_begun: bool = False

    def next_s(self) -> float:
        """Return how long to pause now, in seconds."""
        share = 0.9 + self.chance() / 5 if self._has_begun else self.chance()
        self._has_begun = True
        return self.interval_s * share
