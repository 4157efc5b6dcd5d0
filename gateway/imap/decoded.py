"""Content with its transfer encoding undone, on its way to the client: measured first, then sent (RFC 3516)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from gateway.mailbox.fetch import Body
from gateway.message.binary import iter_section

_KEPT_OCTETS = 1 << 20
"""Up to this size what was decoded to be measured is kept for sending; beyond, it is decoded twice."""


class Decoded:
    """A part of a message, or a piece of it, decoded. `is_missing`: the message has no such part.

    `size` is what `measure` found in the part asked for, in octets; `length` what of it is sent, and `has_nul` whether
    there is a NUL in that.

    Raises:
        UnknownEncoding: how the part is encoded is not known.
    """

    def __init__(self, body: Body, part: tuple[int, ...], partial: tuple[int, int] | None) -> None:
        self._body = body
        self._part = part
        self._start = 0 if partial is None else partial[0]
        self._stop = None if partial is None else sum(partial)
        self._kept: list[bytes] | None = []
        self.is_missing = self._decode() is None
        self.size = self.length = 0
        self.has_nul = False

    async def measure(self) -> None:
        """Find out size and length; others have their turn meanwhile."""
        async for piece, wanted in self._pieces():
            self.size += len(piece)
            self.length += len(wanted)
            self.has_nul = self.has_nul or b"\0" in wanted
            if self._kept is not None and self.length <= _KEPT_OCTETS:
                self._kept.append(wanted)
            else:
                self._kept = None

    async def wanted(self) -> AsyncIterator[bytes]:
        """Yield what is sent, `length` octets in all."""
        if self._kept is not None:
            for piece in self._kept:
                yield piece
            return
        async for _, piece in self._pieces():
            yield piece

    async def _pieces(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the pieces, and of each what is sent."""
        offset = 0
        for piece in self._decode() or ():
            stop = None if self._stop is None else max(0, self._stop - offset)
            yield piece, piece[max(0, self._start - offset) : stop]
            offset += len(piece)
            # To decode one takes a millisecond.
            await asyncio.sleep(0)

    def _decode(self) -> Iterator[bytes] | None:
        return iter_section(self._body.part, self._part, self._body.buffer)
