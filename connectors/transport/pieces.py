"""Message content in pieces, for uploads that go on where they stopped."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from connectors.api.errors import Unavailable
from connectors.api.types import MessageContent


class PieceReader:
    """Reads content piece by piece, and again from an earlier place if need be."""

    def __init__(self, content: MessageContent) -> None:
        self._content = content
        self._chunks: AsyncIterator[bytes] | None = None
        self._start = 0
        self._buffer = bytearray()
        """What was read last, from octet `_start` on."""

    async def read(self, offset: int, octets: int) -> bytes:
        """Return the octets from `offset` on: as many as asked for, but at the end.

        Raises:
            Unavailable: the content is shorter than it said.
        """
        if self._chunks is None or offset < self._start:
            await self.close()
            self._chunks, self._start, self._buffer = self._content.chunks(), 0, bytearray()
        self._drop_before(offset)
        while self._start + len(self._buffer) < offset + octets:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
            self._drop_before(offset)
        piece = bytes(self._buffer[offset - self._start :][:octets]) if self._start <= offset else b""
        if len(piece) != min(octets, self._content.size - offset):
            raise Unavailable("what is to be uploaded has another length than was said")
        return piece

    def _drop_before(self, offset: int) -> None:
        dropped = min(max(offset - self._start, 0), len(self._buffer))
        del self._buffer[:dropped]
        self._start += dropped

    async def close(self) -> None:
        """End the reading."""
        if isinstance(self._chunks, AsyncGenerator):
            with contextlib.suppress(RuntimeError):
                await self._chunks.aclose()
        self._chunks = None
