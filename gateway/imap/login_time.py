"""The time that a client has to log in, whatever it sends and takes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoginTime:
    """Tells when `grace_s` seconds are over. Not begun at first; it can be begun anew.

    Nothing is kept of whom it tells but while it runs: what belongs to a connection is to be free when that ends.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, grace_s: float) -> None:
        self._loop = loop
        self._grace_s = grace_s
        self._timer: asyncio.TimerHandle | None = None
        self.is_over = False

    def begin(self, end: Callable[[], None]) -> None:
        """Give the client its time from now on; `end` is called once it is over."""
        self.lift()
        self._timer = self._loop.call_later(self._grace_s, self._finish, end)

    def lift(self) -> None:
        """Let the client take any time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_over = False

    def _finish(self, end: Callable[[], None]) -> None:
        self._timer = None
        self.is_over = True
        end()
