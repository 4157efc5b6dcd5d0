"""The octets of messages: from the cache, or once from the backend, whoever asks meanwhile joining in."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mmap
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable

from connectors.api import errors
from connectors.api.types import MessageContent, MessageRef
from gateway.message.envelope import render_envelope
from gateway.message.headers import header_block
from gateway.message.index import encode_index
from gateway.message.octets import Buffer
from gateway.message.preview import preview
from gateway.message.scan import scan
from gateway.message.structure import render_structure
from gateway.store import messages, outlines
from gateway.store.body_cache import CachedBody, CacheWriter
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import Hydration
from gateway.store.outlines import OutlineValues
from gateway.sync.context import AccountContext, ref_of

log = logging.getLogger(__name__)

IN_MEMORY_OCTETS = 1 << 20
"""A message up to this size that is not cached is held in memory while it is served; a larger one in a file."""

SCAN_IN_THREAD_OCTETS = 256 << 10
"""From this size on a message is scanned beside the event loop (256 KiB take about a quarter of a millisecond)."""


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


class MappedBody(OpenBody):
    """A large message that is not in the cache: an unnamed temporary file, mapped and shared by all who read it."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map = mapped
        self.size = len(mapped)

    async def read(self, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._map.__getitem__, slice(offset, offset + length))

    def buffer(self) -> Buffer:
        return self._map

    def close(self) -> None:
        # The mapping goes with its last reader.
        return None


class CacheBody(OpenBody):
    """A message in the cache."""

    def __init__(self, cached: CachedBody) -> None:
        self._cached = cached
        self.size = cached.size

    async def read(self, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._cached.read, offset, length)

    def buffer(self) -> Buffer:
        return self._cached.buffer()

    def close(self) -> None:
        self._cached.close()


class Bodies:
    """Gets at the octets of one account's messages."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._flights: dict[int, asyncio.Task[Callable[[], OpenBody | None]]] = {}

    async def open(self, row: MailboxRow, message_id: int, ref: MessageRef) -> OpenBody:
        """Return the message's octets; from the backend if they are not cached, and then only once at a time.

        What reading a message for the first time teaches (exact size, structure, part index) is stored.

        Raises:
            NotFound: the message is gone.
            ConnectorError: the backend cannot give it now.
        """
        while True:
            cached = self._context.cache.open(self._context.account_id, message_id)
            if cached is not None:
                return CacheBody(cached)
            flight = self._flights.get(message_id)
            if flight is None:
                flight = asyncio.get_running_loop().create_task(self._fetch(row, message_id, ref))
                self._flights[message_id] = flight
                flight.add_done_callback(lambda _: self._flights.pop(message_id, None))
            # Shielded: a client that hangs up does not end the download that others wait for.
            body = (await asyncio.shield(flight))()
            if body is not None:
                return body

    async def hash_of(self, row: MailboxRow, message_id: int, ref: MessageRef) -> bytes:
        """Return the SHA-256 of the message's octets; see `open` for what is raised."""
        body = await self.open(row, message_id, ref)
        try:
            digest = hashlib.sha256()
            for offset in range(0, body.size, IN_MEMORY_OCTETS):
                digest.update(await body.read(offset, IN_MEMORY_OCTETS))
            return digest.digest()
        finally:
            body.close()

    async def _fetch(self, row: MailboxRow, message_id: int, ref: MessageRef) -> Callable[[], OpenBody | None]:
        """Read the message from the backend; return how to open it, which gives None if it has left the cache."""
        await self._context.ensure_current(row)
        connector = await self._context.account.open()
        try:
            content = await connector.fetch(ref_of(row), ref)
            if self._context.account.capabilities.local_bodies:
                opener = await self._read_uncached(content)
            else:
                opener = await self._read_into_cache(message_id, content)
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
            raise
        body = opener()
        if body is not None:
            try:
                await self._learn(message_id, body)
            finally:
                body.close()
        return opener

    async def _read_into_cache(self, message_id: int, content: MessageContent) -> Callable[[], OpenBody | None]:
        cache, account_id = self._context.cache, self._context.account_id
        try:
            writer = await asyncio.to_thread(cache.writer, account_id, message_id)
        except OSError as error:
            log.warning("the cache cannot be written: %s", error)
            return await self._read_uncached(content)
        if not await _copy_to(writer, content):
            return await self._read_uncached(content)

        def opener() -> OpenBody | None:
            cached = cache.open(account_id, message_id)
            return CacheBody(cached) if cached is not None else None

        if (body := opener()) is None:
            # Larger than the whole cache, or pushed out at once.
            return await self._read_uncached(content)
        body.close()
        return opener

    async def _read_uncached(self, content: MessageContent) -> Callable[[], OpenBody | None]:
        if content.size <= IN_MEMORY_OCTETS:
            data = b"".join([chunk async for chunk in content.chunks()])
            return lambda: MemoryBody(data)
        with tempfile.TemporaryFile() as file:
            async for chunk in content.chunks():
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return lambda: MappedBody(mapped)

    async def _learn(self, message_id: int, body: OpenBody) -> None:
        buffer = body.buffer()
        if body.size < SCAN_IN_THREAD_OCTETS:
            values = _outline(message_id, buffer)
        else:
            values = await asyncio.to_thread(_outline, message_id, buffer)

        async def write(tx: Transaction) -> None:
            known = await outlines.structures(tx, [message_id])
            if message_id in known:
                # What clients were told stays, even if the backend counts a broken message's parts differently.
                values_kept = OutlineValues(
                    message_id,
                    values.header,
                    values.envelope,
                    known[message_id],
                    values.part_index,
                    values.preview,
                    Hydration.FULL,
                )
                await outlines.save_outlines(tx, [values_kept])
            else:
                await outlines.save_outlines(tx, [values])
            await messages.set_size(tx, message_id, body.size)

        if await self._is_new(message_id, body.size):
            await self._context.store.write(write)

    async def _is_new(self, message_id: int, size: int) -> bool:
        rows = await self._context.store.read(lambda tx: messages.message_rows(tx, [message_id]))
        row = rows.get(message_id)
        return row is not None and not (row.hydration is Hydration.FULL and row.size == size and row.size_is_exact)


def _outline(message_id: int, buffer: Buffer) -> OutlineValues:
    part = scan(buffer)
    header = header_block(buffer)
    return OutlineValues(
        message_id,
        header,
        render_envelope(header),
        render_structure(part, is_extensible=True),
        encode_index(part),
        preview(buffer, part),
        Hydration.FULL,
    )


async def _copy_to(writer: CacheWriter, content: MessageContent) -> bool:
    """Write the content into the cache; False if the disk does not take it. Errors of the backend go through."""
    is_written = False
    try:
        async for chunk in content.chunks():
            await asyncio.to_thread(writer.write, chunk)
        await asyncio.to_thread(writer.commit)
        is_written = True
    except OSError as error:
        log.warning("the cache cannot be written: %s", error)
    finally:
        if not is_written:
            await asyncio.to_thread(writer.abort)
    return is_written
