"""Where the octets of an APPEND go while they arrive: memory up to a limit, then a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO

CHUNK = 262_144


class SpooledContent:
    """A message that was uploaded; a `connectors.api.types.MessageContent` and a `gateway.wire.commands.Literal`.

    The temporary file has no name, so nothing is left behind when the process dies. `close` gives it back.
    """

    __slots__ = ("_file", "_size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

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
            self._file.seek(offset)
            data = self._file.read(CHUNK)
            if not data:
                raise OSError(f"upload spool is {self._size - offset} octets short")
            offset += len(data)
            yield data

    def close(self) -> None:
        """Release memory or file; the content cannot be read afterwards. Closing twice is harmless."""
        self._file.close()


class AppendSpool:
    """A `gateway.wire.reader.Spool` over `tempfile`; writes go to the page cache and do not wait for the disk."""

    __slots__ = ("_file", "_size")

    def __init__(self, memory: int, directory: str | None) -> None:
        # The file outlives this method on purpose: SpooledContent owns it next.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=memory, dir=directory)  # noqa: SIM115
        self._size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def finish(self) -> SpooledContent:
        return SpooledContent(self._file, self._size)

    def abort(self) -> None:
        self._file.close()
