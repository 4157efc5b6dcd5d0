"""Reading mailboxes after a pause: what could not be read, and what it is too early to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.sync.lull import Lull
from gateway.sync.schedule import Urgency

WRITE_PAUSE_S = 2.0
"""How long news of a mailbox wait for a burst of writes to end.

Most of what there is to read meanwhile is what we write, and it would be read again afterwards.
"""


@dataclass(frozen=True, slots=True)
class _Timer:
    """`due` is when, by the clock of the event loop. Not every loop's handle of a short pause knows it."""

    due: float
    handle: asyncio.Handle

    @classmethod
    def after(cls, pause_s: float, ring: Callable[[], None]) -> _Timer:
        loop = asyncio.get_running_loop()
        return cls(loop.time() + pause_s, loop.call_later(pause_s, ring))


class Retries:
    """Timers by mailbox; `request` is called with the mailbox's id and the urgency when its pause is over."""

    def __init__(self, request: Callable[[int, Urgency], None]) -> None:
        self._request = request
        self._timers: dict[int, _Timer] = {}

    def later(self, mailbox_id: int, pause_s: float, urgency: Urgency = Urgency.POLLED) -> None:
        """Have the mailbox read after the pause, in place of what was planned."""
        self.drop(mailbox_id)
        self._timers[mailbox_id] = _Timer.after(pause_s, lambda: self._ring(mailbox_id, urgency))

    def at_lull(self, mailbox_id: int, lull: Lull) -> None:
        """Have a mailbox read that there is news of: at the next lull, or after `WRITE_PAUSE_S` at the latest."""
        timer, now = self._timers.get(mailbox_id), asyncio.get_running_loop().time()
        if timer is None or timer.due > now + WRITE_PAUSE_S:
            self.drop(mailbox_id)
            self._look_for_lull(mailbox_id, lull, now + WRITE_PAUSE_S)

    def __contains__(self, mailbox_id: int) -> bool:
        return mailbox_id in self._timers

    def _look_for_lull(self, mailbox_id: int, lull: Lull, deadline: float) -> None:
        self._timers.pop(mailbox_id, None)
        left_s = min(lull.left_s(), deadline - asyncio.get_running_loop().time())
        if left_s > 0:
            self._timers[mailbox_id] = _Timer.after(left_s, lambda: self._look_for_lull(mailbox_id, lull, deadline))
        else:
            self._request(mailbox_id, Urgency.PUSHED)

    def _ring(self, mailbox_id: int, urgency: Urgency) -> None:
        del self._timers[mailbox_id]
        self._request(mailbox_id, urgency)

    def drop(self, mailbox_id: int) -> None:
        """Plan nothing for the mailbox any more."""
        timer = self._timers.pop(mailbox_id, None)
        if timer is not None:
            timer.handle.cancel()

    def drop_all(self) -> None:
        """Plan nothing any more."""
        for mailbox_id in list(self._timers):
            self.drop(mailbox_id)
