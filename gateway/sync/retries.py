"""Reading mailboxes after a pause: what could not be read, and what it is too early to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.sync.guard import WriteGuard
from gateway.sync.schedule import Urgency

WRITE_PAUSE_S = 2.0
"""How long news of a mailbox wait for a write to it to end.

Most of what there is to read meanwhile is what we write, and it would be read again afterwards.
"""


class Retries:
    """Timers by mailbox; `request` is called with the mailbox's id and the urgency when its pause is over."""

    def __init__(self, request: Callable[[int, Urgency], None]) -> None:
        self._request = request
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def later(self, mailbox_id: int, pause_s: float, urgency: Urgency = Urgency.POLLED) -> None:
        """Have the mailbox read after the pause, in place of what was planned."""
        self.drop(mailbox_id)
        self._timers[mailbox_id] = asyncio.get_running_loop().call_later(pause_s, self._ring, mailbox_id, urgency)

    def after_write(self, mailbox_id: int, guard: WriteGuard) -> None:
        """Have a mailbox read that is written to: after the next write, or after `WRITE_PAUSE_S` at the latest."""
        timer = self._timers.get(mailbox_id)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + WRITE_PAUSE_S:
            self.later(mailbox_id, WRITE_PAUSE_S, Urgency.PUSHED)
            guard.when_written(lambda: self._hurry(mailbox_id))

    def __contains__(self, mailbox_id: int) -> bool:
        return mailbox_id in self._timers

    def _hurry(self, mailbox_id: int) -> None:
        if mailbox_id in self._timers:
            self.drop(mailbox_id)
            self._request(mailbox_id, Urgency.PUSHED)

    def _ring(self, mailbox_id: int, urgency: Urgency) -> None:
        del self._timers[mailbox_id]
        self._request(mailbox_id, urgency)

    def drop(self, mailbox_id: int) -> None:
        """Plan nothing for the mailbox any more."""
        timer = self._timers.pop(mailbox_id, None)
        if timer is not None:
            timer.cancel()

    def drop_all(self) -> None:
        """Plan nothing any more."""
        for mailbox_id in list(self._timers):
            self.drop(mailbox_id)
