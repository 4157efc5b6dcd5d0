"""How much is asked for at a time: the concurrency limit and the quota budget. Who is interactive goes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from connectors.api.priority import Priority
from connectors.transport.clock import Clock
from connectors.transport.window import Window

PATIENCE = 4
"""What waits in the background has its turn, lest it wait for ever, once interactive requests have had so many times as
much as it asks for: so it never gets more than a fifth, be its requests ever so large."""

_INSTANT_S = 1e-6
"""A shorter wait is none: it comes of rounding."""


class _Ticket:
    """One place in a queue; `units` is how much is asked for there."""

    __slots__ = ("turn", "units")

    def __init__(self, units: float = 1.0) -> None:
        self.units = units
        self.turn = asyncio.Event()


class _Queue:
    """Two lines of tickets and the rule of which is next."""

    def __init__(self) -> None:
        self._lines: dict[Priority, deque[_Ticket]] = {Priority.INTERACTIVE: deque(), Priority.BACKGROUND: deque()}
        self._overtaken_by = 0.0

    def __bool__(self) -> bool:
        return any(self._lines.values())

    @property
    def background_is_due(self) -> bool:
        """Whether the background has waited long enough to go before the interactive."""
        waiting = self._lines[Priority.BACKGROUND]
        return bool(waiting) and self._overtaken_by >= PATIENCE * waiting[0].units

    def join(self, ticket: _Ticket, priority: Priority) -> None:
        self._lines[priority.resolve()].append(ticket)

    def leave(self, ticket: _Ticket) -> None:
        """Take the ticket out, if it is in."""
        for line in self._lines.values():
            with contextlib.suppress(ValueError):
                line.remove(ticket)

    def first(self) -> tuple[_Ticket, Priority] | None:
        """Return the ticket whose turn is next, and its priority."""
        interactive, background = self._lines[Priority.INTERACTIVE], self._lines[Priority.BACKGROUND]
        if background and (self.background_is_due or not interactive):
            return background[0], Priority.BACKGROUND
        return (interactive[0], Priority.INTERACTIVE) if interactive else None

    def serve(self, ticket: _Ticket, priority: Priority) -> None:
        """Take out the ticket that `first` gave, as its turn has come."""
        self._lines[priority].popleft()
        if priority is Priority.BACKGROUND:
            self._overtaken_by = 0.0
        elif self._lines[Priority.BACKGROUND]:
            self._overtaken_by += ticket.units


class ConcurrencyLimit:
    """At most `limit` holders at a time; the limit can be changed while it is in use."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 1)
        self._held = 0
        self._queue = _Queue()

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def held(self) -> int:
        """How many hold a permit now; may exceed `limit` for a while after that was lowered."""
        return self._held

    def resize(self, limit: int) -> None:
        """Set how many may hold a permit, at least 1. Whoever has one keeps it."""
        self._limit = max(limit, 1)
        self._grant()

    async def acquire(self, priority: Priority, permits: int = 1) -> None:
        """Wait for as many permits, which are given together. Cancelled while waiting, it leaves none behind.

        Who asks for more than `limit` gets them once nobody else has any, and nobody else does meanwhile.
        """
        ticket = _Ticket(max(permits, 1))
        self._queue.join(ticket, priority)
        self._grant()
        try:
            await ticket.turn.wait()
        except BaseException:
            if ticket.turn.is_set():
                self.release(permits)
            else:
                self._queue.leave(ticket)
                # What it asked for may have been too much, and what is behind it not.
                self._grant()
            raise

    def release(self, permits: int = 1) -> None:
        """Give permits back, as many as were acquired together."""
        self._held -= max(permits, 1)
        self._grant()

    @contextlib.asynccontextmanager
    async def permit(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a permit within the block."""
        await self.acquire(priority)
        try:
            yield
        finally:
            self.release()

    def _grant(self) -> None:
        while self._held < self._limit:
            following = self._queue.first()
            if following is None:
                return
            ticket, priority = following
            if self._held > 0 and self._held + ticket.units > self._limit:
                return
            self._queue.serve(ticket, priority)
            self._held += int(ticket.units)
            ticket.turn.set()


class QuotaBudget:
    """A token bucket: `units` per `interval_s` seconds, spent in the order of priority.

    The bucket holds one interval's worth and is full at first, so two of them may be spent in the first interval; with
    a `window`, never more than that allows. While the background is served it leaves a quarter of the bucket for who
    may come interactively, and as much of the window.
    """

    RESERVE = 0.25

    def __init__(self, units: float, interval_s: float, clock: Clock, window: Window | None = None) -> None:
        if units <= 0 or interval_s <= 0:
            raise ValueError("a budget has more than 0 units in more than 0 seconds")
        self._capacity = float(units)
        self._rate = units / interval_s
        self._clock = clock
        self._level = self._capacity
        self._level_at = clock.monotonic()
        self._closed_until = self._level_at
        self._window = window
        self._queue = _Queue()

    def reject(self, seconds: float) -> None:
        """Take note that the server found the budget overdrawn: nothing is spent for `seconds`, and little then."""
        self._refill()
        self._level = 0.0
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    def delay(self, units: float, priority: Priority) -> float:
        """Return in how many seconds `units` could be spent if nobody else did."""
        self._refill()
        reserve = self._reserve(priority.resolve())
        needed = min(min(units, self._capacity) + reserve, self._capacity)
        refilled_from = max(self._closed_until, self._level_at)
        missing = max(needed - self._level, 0.0)
        delay_s = refilled_from - self._level_at + missing / self._rate
        return delay_s if self._window is None else max(delay_s, self._window.delay(units + reserve))

    async def spend(self, units: float, priority: Priority) -> None:
        """Wait until `units` can be spent, and spend them; what exceeds the bucket counts as a full bucket.

        Cancelled while waiting, it has spent nothing.
        """
        if units <= 0:
            return
        ticket = _Ticket(min(units, self._capacity))
        self._queue.join(ticket, priority)
        try:
            await self._until_spent(ticket, units)
        finally:
            self._queue.leave(ticket)
            self._wake()

    async def _until_spent(self, ticket: _Ticket, units: float) -> None:
        while True:
            following = self._queue.first()
            if following is None or following[0] is not ticket:
                ticket.turn.clear()
                await ticket.turn.wait()
                continue
            delay = self.delay(units, following[1])
            if delay < _INSTANT_S:
                self._level -= ticket.units
                if self._window is not None:
                    self._window.note(units)
                self._queue.serve(ticket, following[1])
                return
            await self._clock.sleep(delay)

    def _reserve(self, priority: Priority) -> float:
        """Return how much is left alone in spending with that priority."""
        is_modest = priority is Priority.BACKGROUND and not self._queue.background_is_due
        return self.RESERVE * self._capacity if is_modest else 0.0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        elapsed = now - max(self._level_at, min(self._closed_until, now))
        self._level = min(self._level + max(elapsed, 0.0) * self._rate, self._capacity)
        self._level_at = now

    def _wake(self) -> None:
        following = self._queue.first()
        if following is not None:
            following[0].turn.set()
