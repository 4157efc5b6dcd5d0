"""Letting the accounts of a process connect one after the other.

A process with a thousand accounts would open them all in its first second, and again whenever the network comes back:
the machine would be busy with those that nobody waits for, and the providers would see an attack.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

AT_ONCE = 20
"""So many accounts connect and list their mailboxes at a time."""

HOLD_S = 2.0
"""An account that takes longer, for its backend is slow or dead, no longer keeps others from beginning."""


class StartGate:
    """One for all accounts of a process."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._permits = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, hurried: asyncio.Event) -> AsyncIterator[None]:
        """Wait until few enough others are connecting, or `hurried` is set because a session waits for this account."""
        acquiring = asyncio.ensure_future(self._permits.acquire())
        hurry = asyncio.ensure_future(hurried.wait())
        permit = _Permit(acquiring, self._permits)
        timer: asyncio.TimerHandle | None = None
        try:
            await asyncio.wait((acquiring, hurry), return_when=asyncio.FIRST_COMPLETED)
            timer = asyncio.get_running_loop().call_later(HOLD_S, permit.give_back)
            yield
        finally:
            hurry.cancel()
            if timer is not None:
                timer.cancel()
            permit.give_back()


class _Permit:
    """A permit that was got, or is being waited for."""

    def __init__(self, acquiring: asyncio.Future[Literal[True]], permits: asyncio.Semaphore) -> None:
        self._acquiring = acquiring
        self._permits = permits
        self._is_back = False

    def give_back(self) -> None:
        """Give it back, or wait for it no longer; once."""
        if not self._is_back:
            self._is_back = True
            self._acquiring.cancel()
            # Called also if it has come already.
            self._acquiring.add_done_callback(self._release)

    def _release(self, acquiring: asyncio.Future[Literal[True]]) -> None:
        if not acquiring.cancelled():
            self._permits.release()
