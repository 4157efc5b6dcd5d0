"""Waiting for something for as long as the client is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def unless_closed(closed: asyncio.Task[bool], awaited: Awaitable[T]) -> T | None:
    """Await something, but give it up and return None once the client is closed, which `closed` waits for."""
    coming = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait({coming, closed}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        if not coming.done():
            coming.cancel()
        # Also if it has just failed, as whoever waited for it was cancelled: an error that nobody takes is logged.
        await asyncio.gather(coming, return_exceptions=True)
