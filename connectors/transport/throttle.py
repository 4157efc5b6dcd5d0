"""What the server has asked all requests of an account to wait for."""

from __future__ import annotations

from connectors.transport.clock import Clock
from connectors.transport.retry_after import MAX_RETRY_AFTER_S


class Hold:
    """A moment before which nothing is to be sent. It is only ever moved on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.monotonic()

    @property
    def remaining_s(self) -> float:
        """Seconds until requests may go again; 0 if they may."""
        return max(self._until - self._clock.monotonic(), 0.0)

    def extend(self, seconds: float) -> None:
        """Hold everything back for `seconds` from now, at most an hour."""
        self._until = max(self._until, self._clock.monotonic() + min(seconds, MAX_RETRY_AFTER_S))
