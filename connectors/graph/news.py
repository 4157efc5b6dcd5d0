"""What has changed and has not been told yet: merged, and told of each mailbox no more than so often."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from connectors.api.types import MailboxRef
from connectors.transport.clock import Clock

BURST: Final = 10
"""A mailbox that was quiet is told of so often at once."""

EACH_S: Final = 4.0
"""A mailbox that goes on changing is told of once in so long: each time costs a look at it, and a thousand messages are
moved one by one."""


class News:
    """Mailboxes with changes; None among them stands for all. Bounded by how many there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[MailboxRef | None, None] = {}
        self._paid: dict[MailboxRef | None, float] = {}
        """Until when the times that a mailbox was told of would last, one each `EACH_S`; in seconds of the clock."""
        self._stirred = asyncio.Event()

    def add(self, mailbox: MailboxRef | None) -> None:
        """Note that something has changed in a mailbox, or anywhere."""
        self._pending[mailbox] = None
        self._stirred.set()

    async def take(self) -> list[MailboxRef | None]:
        """Wait until there is something to tell, one mailbox at least, and return it."""
        while True:
            self._stirred.clear()
            now = self._clock.monotonic()
            self._paid = {mailbox: until for mailbox, until in self._paid.items() if until > now}
            waits = {mailbox: self._paid.get(mailbox, now) - now - (BURST - 1) * EACH_S for mailbox in self._pending}
            due = [mailbox for mailbox, wait_s in waits.items() if wait_s <= 0.0]
            if due:
                for mailbox in due:
                    del self._pending[mailbox]
                    self._paid[mailbox] = self._paid.get(mailbox, now) + EACH_S
                return due
            soonest = min(waits.values(), default=math.inf)
            await nap(self._clock, soonest, self._stirred)


async def nap(clock: Clock, seconds: float, stirred: asyncio.Event) -> None:
    """Return after so many seconds, which may be infinite, or as soon as the event is set."""
    waits: set[asyncio.Future[object]] = {asyncio.ensure_future(stirred.wait())}
    if seconds < math.inf:
        waits.add(asyncio.ensure_future(clock.sleep(seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
