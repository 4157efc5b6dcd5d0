"""Waking the sessions that wait for news of one mailbox: some at a time, so that others are served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

AT_ONCE = 64
"""Sessions woken in one turn of the loop; what they have to tell takes some milliseconds."""


class Bells:
    """One for all sessions of a process."""

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}
        self._is_ringing = False

    def ring(self, bell: Callable[[], None]) -> None:
        """Have `bell` called soon, once however often this is asked for by then; the first to ask are called first."""
        self._waiting[bell] = None
        if not self._is_ringing:
            self._is_ringing = True
            asyncio.get_running_loop().call_soon(self._ring_some)

    def _ring_some(self) -> None:
        for bell in list(islice(self._waiting, AT_ONCE)):
            del self._waiting[bell]
            bell()
        self._is_ringing = bool(self._waiting)
        if self._is_ringing:
            asyncio.get_running_loop().call_soon(self._ring_some)
