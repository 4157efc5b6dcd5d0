"""Reading pages of a backend while those before them are being stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def read_ahead(pages: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield the pages, with the next one being read meanwhile; at most one lies waiting.

    The pages are read in one task of their own to the end, whatever the caller does between them. Closed early, this
    ends that task, and with it the request.
    """
    queue: asyncio.Queue[T | None] = asyncio.Queue(1)

    async def read() -> None:
        try:
            async for page in pages:
                await queue.put(page)
        finally:
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()
        await queue.put(None)

    reader = asyncio.create_task(read())
    try:
        while (page := await _next(queue, reader)) is not None:
            yield page
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _next(queue: asyncio.Queue[T | None], reader: asyncio.Task[None]) -> T | None:
    """Return the next page, None at the end; raise what ended the reader."""
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.create_task(queue.get())
    try:
        await asyncio.wait((getter, reader), return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
        if not queue.empty():
            return queue.get_nowait()
        reader.result()
    finally:
        getter.cancel()
    return None
