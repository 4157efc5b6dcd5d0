"""Message content on disk while it passes through."""

from __future__ import annotations

import asyncio
import os
import tempfile
import weakref
from collections.abc import AsyncIterator

from connectors.api.errors import Unavailable

_BLOCK_OCTETS = 1 << 20
_READ_OCTETS = 256 * 1024


class SpooledContent:
    """A message in a file without a name; the file is gone when the content is.

    Written once, by `write` and then `finish`; may be read several times at once. Making one raises `Unavailable` where
    no file can be had.
    """

    def __init__(self) -> None:
        try:
            descriptor, path = tempfile.mkstemp(prefix="imap-gateway-")
            os.unlink(path)
        except OSError as exc:
            raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc
        self._descriptor = descriptor
        self._pending = bytearray()
        self._size = 0
        weakref.finalize(self, os.close, descriptor)

    @property
    def size(self) -> int:
        return self._size

    async def write(self, data: bytes) -> None:
        """Add octets.

        Raises:
            Unavailable: the disk is full or failing.
        """
        self._pending += data
        self._size += len(data)
        if len(self._pending) >= _BLOCK_OCTETS:
            await self.finish()

    async def finish(self) -> None:
        """Bring what was written to the file."""
        block, self._pending = self._pending, bytearray()
        try:
            await asyncio.to_thread(_write_all, self._descriptor, block)
        except OSError as exc:
            raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc

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


def _write_all(descriptor: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
