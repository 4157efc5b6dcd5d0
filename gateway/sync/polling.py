"""When an account is looked at again, though its backend has told of nothing."""

from __future__ import annotations

import asyncio

from gateway.sync.schedule import Pace

UNWATCHED_S = 60.0
"""An account of which nobody has a mailbox open is looked at only so often: whoever opens one has it read then."""


class Polling:
    """The pauses between the looks at one account; `watch` says whether somebody has a mailbox of it open.

    `set_s` is the interval that the operator has set, and is kept to; without it the connector's own is.
    """

    def __init__(self, set_s: float | None) -> None:
        self._set_s = set_s
        self._opened = asyncio.Event()
        self._watched: Pace | None = None
        self._unwatched = Pace(UNWATCHED_S)

    def watch(self, *, is_watched: bool) -> None:
        """Take note of it. When a mailbox is opened the long pause is over, and a short one begins."""
        if is_watched:
            self._opened.set()
        else:
            self._opened.clear()

    async def pause(self, advised_s: float) -> None:
        """Wait until it is time for the next look; `advised_s` is the connector's own interval, in seconds."""
        if self._watched is None:
            self._watched = Pace(self._set_s or advised_s)
        if self._set_s is None and advised_s < UNWATCHED_S and not self._opened.is_set():
            try:
                async with asyncio.timeout(self._unwatched.next_s()):
                    await self._opened.wait()
            except TimeoutError:
                return
        await asyncio.sleep(self._watched.next_s())
