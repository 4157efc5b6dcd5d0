"""The two raw DEFLATE streams of a connection after COMPRESS (RFC 4978). No I/O."""

from __future__ import annotations

import zlib
from typing import Final

LEVEL: Final = 1
MEMORY_LEVEL: Final = 5
"""Together with the window about 150 KB for what is sent; what is received takes about 40 KB."""

RAW: Final = -zlib.MAX_WBITS
"""Without the header and check sum of zlib (RFC 4978 section 4)."""

EMPTY_END: Final = b"\x03\x00"
"""A last block without content, as zlib writes it behind a flush."""


class DeflateError(Exception):
    """What came is not DEFLATE; nothing more can be read."""


class DeflateLayer:
    """Compresses what is sent, and expands what is received a piece at a time.

    What is received is kept as it came until it is asked for, so that a few octets that stand for very many (a bomb)
    cost no more memory than the pieces asked for, and time only as their reader takes them.
    """

    __slots__ = ("_deflate", "_inflate", "_is_cut", "_received")

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW, MEMORY_LEVEL)
        self._inflate = zlib.decompressobj(RAW)
        self._received = b""
        self._is_cut = False  # the last piece was full, so zlib may hold back some of what it has read

    def compress(self, data: bytes) -> bytes:
        """Return what is to be sent for `data`: all of it, to an octet boundary."""
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, data: bytes) -> bytes:
        """Return what is to be sent for the last `data`, and the end of the stream."""
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_FINISH)

    def feed(self, data: bytes) -> None:
        """Add octets from the network."""
        self._received += data

    @property
    def received_octets(self) -> int:
        """How many octets were fed and not expanded yet."""
        return len(self._received)

    @property
    def is_ended(self) -> bool:
        """Whether the client has ended its stream; what it has sent behind that is no part of it."""
        return self._inflate.eof

    def expand(self, most: int) -> bytes:
        """Return up to `most` octets of what was received, `most` being at least 1; nothing if more has to come.

        Raises:
            DeflateError: it cannot be expanded.
        """
        if self._inflate.eof or not (self._received or self._is_cut):
            return b""
        received, self._received = self._received, b""
        try:
            expanded = self._inflate.decompress(received, most)
        except zlib.error as error:
            self._is_cut = False
            raise DeflateError(str(error)) from error
        self._received = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._is_cut = len(expanded) == most
        return expanded

    def take_rest(self) -> bytes:
        """Return what was received behind the end of the stream, and so as it is.

        A client may end its stream behind a flush, and it may just stop.
        """
        rest, self._received = self._received, b""
        return rest if self._inflate.eof else rest.removeprefix(EMPTY_END)
