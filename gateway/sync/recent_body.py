"""The large message that was read last, for a client that takes it piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.sync.open_body import OpenBody

KEPT_S = 30.0
"""So long after its last use it is kept. Clients that take a message in pieces ask for the next within seconds."""


class RecentBody:
    """Keeps one message of an account that is not in the cache."""

    def __init__(self) -> None:
        self._message_id = 0
        self._opener: Callable[[], OpenBody] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, message_id: int, opener: Callable[[], OpenBody]) -> None:
        """Keep a message, in place of the one before."""
        self._message_id, self._opener = message_id, opener
        self._restart()

    def open(self, message_id: int) -> OpenBody | None:
        """Open the message; None if another is kept, or none any more."""
        if self._opener is None or self._message_id != message_id:
            return None
        self._restart()
        return self._opener()

    def close(self) -> None:
        """Keep nothing. What is open stays readable."""
        self._opener = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(KEPT_S, self.close)
