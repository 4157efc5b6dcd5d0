"""Message content on its way from Graph, which does not say beforehand how long it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from connectors.api.errors import Unavailable
from connectors.api.types import BytesContent, MessageContent

IN_MEMORY_OCTETS: Final = 1 << 20
"""What is longer goes to a file."""

_READ_OCTETS: Final = 256 * 1024


class FileContent:
    """A message in a file without a name; the file is gone when the content is.

    Written once; may then be read several times at once. Its methods raise `Unavailable` where the disk fails.
    """

    def __init__(self) -> None:
        try:
            descriptor, path = tempfile.mkstemp(prefix="imap-gateway-")
            os.unlink(path)
        except OSError as exc:
            raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc
        self._descriptor = descriptor
        self._size = 0
        weakref.finalize(self, os.close, descriptor)

    @property
    def size(self) -> int:
        return self._size

    async def write(self, data: bytes | bytearray) -> None:
        """Add octets."""
        try:
            await asyncio.to_thread(_write_all, self._descriptor, data)
        except OSError as exc:
            raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc
        self._size += len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets."""
        offset = 0
        while offset < self._size:
            try:
                data = await asyncio.to_thread(os.pread, self._descriptor, _READ_OCTETS, offset)
            except OSError as exc:
                raise Unavailable(f"a message cannot be read back from disk: {exc}") from exc
            if not data:
                raise Unavailable("a message on disk is shorter than it was written")
            offset += len(data)
            yield data


async def spool(chunks: AsyncGenerator[bytes, None]) -> MessageContent:
    """Read to the end, keep what came, and return it.

    Raises:
        Unavailable: there is no room for it on disk. What reading raises is raised as it is.
    """
    pending, file = bytearray(), None
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            pending += chunk
            if len(pending) > IN_MEMORY_OCTETS:
                file = file or FileContent()
                block, pending = pending, bytearray()
                await file.write(block)
    if file is None:
        return BytesContent(bytes(pending))
    await file.write(pending)
    return file


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
