"""Reading again, after a pause, what could not be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Retries:
    """Timers by mailbox; `request` is called with the mailbox's id when its pause is over."""

    def __init__(self, request: Callable[[int], None]) -> None:
        self._request = request
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def later(self, mailbox_id: int, pause_s: float) -> None:
        """Have the mailbox read after the pause, in place of what was planned."""
        self.drop(mailbox_id)
        self._timers[mailbox_id] = asyncio.get_running_loop().call_later(pause_s, self._request, mailbox_id)

    def drop(self, mailbox_id: int) -> None:
        """Plan nothing for the mailbox any more."""
        timer = self._timers.pop(mailbox_id, None)
        if timer is not None:
            timer.cancel()

    def drop_all(self) -> None:
        """Plan nothing any more."""
        for mailbox_id in list(self._timers):
            self.drop(mailbox_id)
