"""Where the octets of an APPEND go while they arrive: memory up to a limit, then a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO

CHUNK = 262_144


class _Shared:
    """A file in which several contents lie one behind the other; it is closed when the last of them is."""

    __slots__ = ("file", "holders")

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.holders = 0

    def release(self) -> None:
        self.holders -= 1
        if self.holders == 0:
            self.file.close()


class SpooledContent:
    """A message that was uploaded; a `connectors.api.types.MessageContent` and a `gateway.wire.commands.Literal`.

    The temporary file has no name, so nothing is left behind when the process dies. `close` gives it back.
    """

    __slots__ = ("_is_open", "_shared", "_size", "_start")

    def __init__(self, shared: _Shared, start: int, size: int) -> None:
        self._shared = shared
        self._start = start
        self._size = size
        self._is_open = True
        shared.holders += 1

    @property
    def size(self) -> int:
        """Octets."""
        return self._size

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets in order, in pieces of at most 256 KiB; each call reads anew.

        The position is kept here and not in the file, so that two readers do not disturb each other.
        """
        offset = 0
        while offset < self._size:
            self._shared.file.seek(self._start + offset)
            data = self._shared.file.read(min(CHUNK, self._size - offset))
            if not data:
                raise OSError(f"upload spool is {self._size - offset} octets short")
            offset += len(data)
            yield data

    def close(self) -> None:
        """Release memory or file; the content cannot be read afterwards. Closing twice is harmless."""
        if self._is_open:
            self._is_open = False
            self._shared.release()


class AppendSpool:
    """A `gateway.wire.reader.Spool` over `tempfile`; writes go to the page cache and do not wait for the disk."""

    __slots__ = ("_shared", "_size", "_taken")

    def __init__(self, memory: int, directory: str | None) -> None:
        # The file outlives this method on purpose: the contents own it next.
        self._shared = _Shared(tempfile.SpooledTemporaryFile(max_size=memory, dir=directory))  # noqa: SIM115
        self._size = self._taken = 0

    def write(self, data: bytes) -> None:
        self._shared.file.write(data)
        self._size += len(data)

    def next_content(self) -> SpooledContent:
        start, self._taken = self._taken, self._size
        return SpooledContent(self._shared, start, self._size - start)

    def abort(self) -> None:
        self._shared.file.close()
