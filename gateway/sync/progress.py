"""How far the reading of a mailbox has got, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.api import errors
from gateway.sync.schedule import Backoff

WATCH_TRUST_S = 60.0
"""How long a backend that tells of changes is believed to have none to tell of: a dead connection has none either."""


@dataclass(slots=True)
class MailboxProgress:
    """How far a mailbox, or the tree of them, has got.

    `begun` counts the readings begun, and `ended` is the number of the last one that came to an end, well or not.
    `is_missing`: the backend did not find the mailbox, and lists it perhaps all the same. `expiries` counts how often
    in a row it was listed anew because its cursor was too old, the last time at `expired_at`.
    """

    synced_at: float | None = None
    error: errors.ConnectorError | None = None
    is_missing: bool = False
    expiries: int = 0
    expired_at: float = 0.0
    begun: int = 0
    ended: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def is_at_rest(self) -> bool:
        """Whether no reading is under way."""
        return self.begun == self.ended

    def begin(self) -> int:
        """Count a reading that begins and return its number."""
        self.begun += 1
        return self.begun

    def end(self, number: int) -> None:
        """Take note that a reading has ended, and wake whoever waits for this mailbox."""
        self.ended = max(self.ended, number)
        self.changed.set()
        self.changed = asyncio.Event()

    def fail(self, error: errors.ConnectorError) -> None:
        """Take note of an error that ends every reading under way."""
        self.error = error
        self.end(self.begun)

    async def wait_past(self, begun: int, timeout_s: float, may_come: Callable[[], bool]) -> bool:
        """Wait for the end of a reading later than number `begun`; return whether it came in time.

        Returns early when `may_come` says that none will.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        # A reading that is under way may have missed what the caller has in mind.
        while self.ended <= begun:
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0 or not may_come():
                return False
            try:
                async with asyncio.timeout(min(left_s, 0.5)):
                    await self.changed.wait()
            except TimeoutError:
                continue
        return True
