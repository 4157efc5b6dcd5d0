"""Whole messages as they come from a JMAP server and go to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from connectors.api.errors import Unavailable
from connectors.transport.client import HttpClient
from connectors.transport.messages import Effect, Request, shown

_CHUNK_OCTETS = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """What the server calls octets that it has been given; `size` is their number."""

    id: str
    size: int


class BlobContent:
    """A blob at the server; each call of `chunks` downloads it anew (a blob never changes, RFC 8620 section 6)."""

    def __init__(self, http: HttpClient, url: str, size: int) -> None:
        self._http = http
        self._url = url
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets while they come.

        Raises:
            NotFound: the blob is gone, and so is its message.
            Unavailable: they are more or fewer than `size`. A blob has no checksum, so that is all that tells a
                download that was cut short.
        """
        got = 0
        request = Request("GET", self._url, effect=Effect.READ)
        async with self._http.stream(request) as reply, contextlib.aclosing(reply.chunks()) as chunks:
            async for chunk in chunks:
                got += len(chunk)
                if got > self._size:
                    raise Unavailable(f"{shown(self._url)} is longer than {self._size} octets")
                for start in range(0, len(chunk), _CHUNK_OCTETS):
                    yield chunk[start : start + _CHUNK_OCTETS]
        if got < self._size:
            raise Unavailable(f"{shown(self._url)} ended after {got} of {self._size} octets")
