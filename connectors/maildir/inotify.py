"""Linux inotify by way of the C library, as far as a Maildir needs it.

Source: inotify(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
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
_READS = 16
"""So many reads are given out together; between them others have their turn."""

REST_S = 0.01
"""After events no more are read for so long."""


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
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._is_awaited = False
        self._rests_until = 0.0
        self._nameless: set[int] = set()

    @property
    def is_quiet(self) -> bool:
        """Whether somebody waits for events and there are none."""
        return self._is_awaited and self._descriptor >= 0 and not self._bell.is_set() and not self._poll.poll(0)

    def close(self) -> None:
        """End all watches."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._bell.set()

    def _ring(self) -> None:
        self._loop.remove_reader(self._descriptor)
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

    def spare_names(self, number: int) -> None:
        """Tell of this watch only that something has happened, and not to which file."""
        self._nameless.add(number)

    async def events(self) -> list[tuple[int, int, str]]:
        """Wait for events and return them: number of the watch (-1 on overflow), mask, name in the directory.

        What comes twice may be told once.
        What follows closely comes together: whoever renames thousands of files would otherwise have the loop woken for
        each. Returns nothing once closed.
        """
        rest_s = self._rests_until - self._loop.time()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        while self._descriptor >= 0:
            self._bell.clear()
            found: dict[tuple[int, int, str], None] = {}
            with suppress(BlockingIOError):
                for _ in range(_READS):
                    found.update(dict.fromkeys(self._parse(os.read(self._descriptor, _READ_OCTETS))))
            if found:
                self._rests_until = self._loop.time() + REST_S
                return list(found)
            self._is_awaited = True
            self._loop.add_reader(self._descriptor, self._ring)
            try:
                await self._bell.wait()
            finally:
                self._is_awaited = False
        return []

    def _parse(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        offset, nameless = 0, self._nameless
        while offset < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            is_named = length and number not in nameless
            yield number, mask, os.fsdecode(data[offset : offset + length].rstrip(b"\0")) if is_named else ""
            offset += length
