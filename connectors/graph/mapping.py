"""A message to be stored, in one piece: in memory if it is small, else in a file that is mapped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Final

from connectors.api.errors import Rejected, Unavailable
from connectors.api.types import MessageContent
from connectors.graph.mime import Buffer

_IN_MEMORY: Final = 1 << 20
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Mapped:
    """The octets of a message, and their SHA-256 in hex."""

    buffer: Buffer
    digest: str


@contextlib.asynccontextmanager
async def mapped(content: MessageContent) -> AsyncIterator[Mapped]:
    """Have a message in one piece, as long as this context lasts.

    Raises:
        Unavailable: there is no room on disk.
        Rejected: it is not as long as it was said to be.
    """
    if content.size <= _IN_MEMORY:
        data = b"".join([chunk async for chunk in content.chunks()])
        _check(len(data), content)
        yield Mapped(data, hashlib.sha256(data).hexdigest())
        return
    with _file() as file:
        digest, pending = hashlib.sha256(), bytearray()
        async for chunk in content.chunks():
            pending += chunk
            if len(pending) >= _BLOCK:
                await asyncio.to_thread(_add, file, digest, bytes(pending))
                pending.clear()
        await asyncio.to_thread(_add, file, digest, bytes(pending))
        _check(file.tell(), content)
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield Mapped(buffer, digest.hexdigest())
        finally:
            # After a cancellation a thread may still be reading; then the map goes when that ends.
            with contextlib.suppress(BufferError):
                buffer.close()


def _file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="imap-gateway-", buffering=0)
    except OSError as exc:
        raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc


def _add(file: IO[bytes], digest: hashlib._Hash, data: bytes) -> None:
    digest.update(data)
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as exc:
        raise Unavailable(f"a message cannot be kept in {tempfile.gettempdir()}: {exc}") from exc


def _check(octets: int, content: MessageContent) -> None:
    if octets != content.size:
        raise Rejected(f"a message of {content.size} octets came with {octets}")
