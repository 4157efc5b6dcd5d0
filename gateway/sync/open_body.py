"""The octets of one message while somebody reads them: from the cache, from memory, or from a temporary file."""

from __future__ import annotations

import asyncio
import mmap
from abc import ABC, abstractmethod

from gateway.message.octets import Buffer
from gateway.store.body_folder import StoredBody
from gateway.store.disk_wait import DiskWait

ON_LOOP_OCTETS = 1 << 18
"""More than this is always read beside the event loop: it takes some tenths of a millisecond from memory."""

COLD_S = 0.002
"""A piece takes a tenth of it from memory."""


class OpenBody(ABC):
    """The octets of one message while somebody reads them. Close it."""

    size: int

    @abstractmethod
    async def read(self, offset: int, length: int) -> bytes:
        """Return the octets from `offset`, fewer than `length` at the end."""

    @abstractmethod
    def buffer(self) -> Buffer:
        """Return the whole as a buffer, mapped rather than read where it is a file; valid until `close`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it. May be called twice."""


class MemoryBody(OpenBody):
    """A small message that is not in the cache."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def buffer(self) -> Buffer:
        return self._data

    def close(self) -> None:
        return None


class FileBody(OpenBody):
    """A message in a file.

    What is in memory already is read on the event loop: a thread for each piece is dearer than the piece. Once a piece
    had to wait for the disk, the next is read beside the loop.
    """

    _is_cold = False

    @abstractmethod
    def _read(self, offset: int, length: int) -> bytes:
        """Return the octets from `offset`; blocks."""

    async def read(self, offset: int, length: int) -> bytes:
        if self._is_cold or length > ON_LOOP_OCTETS:
            data, self._is_cold = await asyncio.to_thread(self._watched, offset, length)
        else:
            data, self._is_cold = self._watched(offset, length)
        return data

    def _watched(self, offset: int, length: int) -> tuple[bytes, bool]:
        """Return the octets, and whether the disk had to be waited for."""
        wait = DiskWait(COLD_S)
        return self._read(offset, length), wait.is_long()


class MappedBody(FileBody):
    """A large message that is not in the cache: an unnamed temporary file, mapped and shared by all who read it."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map = mapped
        self.size = len(mapped)

    def _read(self, offset: int, length: int) -> bytes:
        return self._map[offset : offset + length]

    def buffer(self) -> Buffer:
        return self._map

    def close(self) -> None:
        # The mapping goes with its last reader.
        return None


class CacheBody(FileBody):
    """A message in the cache."""

    def __init__(self, cached: StoredBody) -> None:
        self._cached = cached
        self.size = cached.size

    def _read(self, offset: int, length: int) -> bytes:
        return self._cached.read(offset, length)

    def buffer(self) -> Buffer:
        return self._cached.buffer()

    def close(self) -> None:
        self._cached.close()
