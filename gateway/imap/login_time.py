"""The time that a client has to log in, whatever it sends and takes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoginTime:
    """Calls `end` once `grace_s` seconds are over. Not begun at first; it can be begun anew."""

    def __init__(self, loop: asyncio.AbstractEventLoop, grace_s: float, end: Callable[[], None]) -> None:
        self._loop = loop
        self._grace_s = grace_s
        self._end = end
        self._timer: asyncio.TimerHandle | None = None
        self.is_over = False

    def begin(self) -> None:
        """Give the client its time from now on."""
        self.lift()
        self._timer = self._loop.call_later(self._grace_s, self._finish)

    def lift(self) -> None:
        """Let the client take any time."""
        if self._timer is not None:
            self._timer.cancel()
        self.is_over = False

    def _finish(self) -> None:
        self.is_over = True
        self._end()
