"""Linux inotify by way of the C library, as far as a Maildir needs it.

Source: inotify(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress

IN_CREATE = 0x100
IN_DELETE = 0x200
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CLOSE_WRITE = 0x8
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_ONLYDIR = 0x1000000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000

_HEADER = struct.Struct("iIII")
_READ_OCTETS = 1 << 16


class Inotify:
    """One inotify instance on the running event loop.

    Raises:
        OSError: the system has no inotify, or no more instances for this user.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(None, use_errno=True)
            self._add, self._remove = library.inotify_add_watch, library.inotify_rm_watch
            descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (AttributeError, TypeError) as exc:
            raise OSError("this system has no inotify") from exc
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be started")
        self._descriptor = descriptor
        self._bell = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._bell.set)

    def close(self) -> None:
        """End all watches."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._bell.set()

    def add(self, path: str, mask: int) -> int:
        """Watch a directory and return the number its events carry; the same again for the same directory.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the user has no more watches.
        """
        number: int = self._add(self._descriptor, os.fsencode(path), mask | IN_ONLYDIR)
        if number < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return number

    async def events(self) -> list[tuple[int, int, str]]:
        """Wait for events and return them: number of the watch (-1 on overflow), mask, name in the directory.

        Returns nothing once closed.
        """
        while self._descriptor >= 0:
            self._bell.clear()
            data = b""
            with suppress(BlockingIOError):
                data = os.read(self._descriptor, _READ_OCTETS)
            if data:
                return list(_parse(data))
            await self._bell.wait()
        return []


def _parse(data: bytes) -> Iterator[tuple[int, int, str]]:
    offset = 0
    while offset < len(data):
        number, mask, _, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        yield number, mask, os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
        offset += length
