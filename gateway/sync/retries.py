"""Reading mailboxes after a pause: what could not be read, and what it is too early to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.sync.schedule import Urgency

WRITE_PAUSE_S = 0.25
"""How long news of a mailbox wait while we write to it: most of what there is to read is what we write."""


class Retries:
    """Timers by mailbox; `request` is called with the mailbox's id and the urgency when its pause is over."""

    def __init__(self, request: Callable[[int, Urgency], None]) -> None:
        self._request = request
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def later(self, mailbox_id: int, pause_s: float, urgency: Urgency = Urgency.POLLED) -> None:
        """Have the mailbox read after the pause, in place of what was planned."""
        self.drop(mailbox_id)
        self._timers[mailbox_id] = asyncio.get_running_loop().call_later(pause_s, self._ring, mailbox_id, urgency)

    def at_latest(self, mailbox_id: int, pause_s: float, urgency: Urgency) -> None:
        """Have the mailbox read after the pause, unless it is planned for an earlier time."""
        timer = self._timers.get(mailbox_id)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + pause_s:
            self.later(mailbox_id, pause_s, urgency)

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
