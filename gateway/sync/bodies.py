"""The octets of messages: from the cache, or once from the backend, whoever asks meanwhile joining in."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mmap
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from connectors.api import errors
from connectors.api.abilities import BatchFetch
from connectors.api.types import MessageContent, MessageRef
from gateway.store.body_cache import CacheWriter
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, ref_of
from gateway.sync.learner import Learner
from gateway.sync.open_body import CacheBody, MappedBody, MemoryBody, OpenBody

log = logging.getLogger(__name__)

IN_MEMORY_OCTETS = 1 << 20
"""A message up to this size that is not cached is held in memory while it is served; a larger one in a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message to be read."""

    message_id: int
    ref: MessageRef


Opener = Callable[[], OpenBody | None]
"""Opens a message that has just been read; gives None if it has left the cache meanwhile."""


class Bodies:
    """Gets at the octets of one account's messages."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._learner = Learner(context.store)
        self._flights: dict[int, asyncio.Future[Opener]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, row: MailboxRow, message_id: int, ref: MessageRef) -> OpenBody:
        """Return the message's octets; from the backend if they are not cached, and then only once at a time.

        What reading a message for the first time teaches is stored behind the caller's back; see `learn`.

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
                flight = self._take_off([message_id])[message_id]
                self._start(self._fetch_one(row, Wanted(message_id, ref), flight))
            # Shielded: a client that hangs up does not end the download that others wait for.
            body = (await asyncio.shield(flight))()
            if body is not None:
                return body

    async def learn(self, row: MailboxRow, message_id: int, ref: MessageRef) -> None:
        """Read the message and wait until what it teaches is in the store: exact size, header, structure.

        Raises:
            NotFound, ConnectorError: see `open`.
        """
        body = await self.open(row, message_id, ref)
        try:
            await self._learner.learn(message_id, body)
        finally:
            body.close()

    def read_ahead(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Begin to read messages that will be asked for next, in one request; does nothing where that gains nothing."""
        account = self._context.account
        if not account.is_open or account.capabilities.local_bodies or not isinstance(account.connector, BatchFetch):
            return
        cache, account_id = self._context.cache, self._context.account_id
        missing = [
            item
            for item in wanted
            if item.message_id not in self._flights and not cache.has(account_id, item.message_id)
        ][: account.capabilities.outline_limit]
        if len(missing) > 1:
            flights = self._take_off([item.message_id for item in missing])
            self._start(self._fetch_many(account.connector, row, missing, flights))

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

    async def close(self) -> None:
        """End what is being read and finish what is being stored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._learner.close()

    # -- flights ------------------------------------------------------------------------------------------------------

    def _take_off(self, message_ids: Sequence[int]) -> dict[int, asyncio.Future[Opener]]:
        loop = asyncio.get_running_loop()
        flights: dict[int, asyncio.Future[Opener]] = {key: loop.create_future() for key in message_ids}
        self._flights.update(flights)
        return flights

    def _land(self, message_id: int, flight: asyncio.Future[Opener], opener: Opener) -> None:
        """Let those who wait have the message, and whoever comes later look in the cache."""
        self._flights.pop(message_id, None)
        if not flight.done():
            flight.set_result(opener)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch_one(self, row: MailboxRow, item: Wanted, flight: asyncio.Future[Opener]) -> None:
        try:
            opener = await self._read_one(row, item)
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
            self._flights.pop(item.message_id, None)
            if not flight.done():
                flight.set_exception(error)
                # Those who waited may have gone.
                flight.exception()
            return
        except BaseException as error:
            self._flights.pop(item.message_id, None)
            if not flight.done():
                # Not its cancellation: those who wait are not the ones being cancelled.
                flight.set_exception(errors.Unavailable(f"message {item.ref}: {error!r}"))
                flight.exception()
            if not isinstance(error, Exception):
                raise
            log.exception("message %s could not be read", item.ref)
            return
        self._land(item.message_id, flight, opener)
        await self._learn(item.message_id, opener)

    async def _read_one(self, row: MailboxRow, item: Wanted) -> Opener:
        await self._context.ensure_current(row)
        connector = await self._context.account.open()
        content = await connector.fetch(ref_of(row), item.ref)
        if self._context.account.capabilities.local_bodies:
            return await _read_uncached(content)
        return await self._read_into_cache(item.message_id, content)

    async def _fetch_many(
        self,
        connector: BatchFetch,
        row: MailboxRow,
        wanted: Sequence[Wanted],
        flights: dict[int, asyncio.Future[Opener]],
    ) -> None:
        """Read several messages; one that does not come is left to whoever asks for it."""
        ids = {item.ref: item.message_id for item in wanted}
        learning: list[asyncio.Task[None]] = []
        try:
            await self._context.ensure_current(row)
            async with aclosing(connector.fetch_many(ref_of(row), list(ids))) as found:
                async for ref, content in found:
                    message_id = ids[ref]
                    opener = await self._read_into_cache(message_id, content)
                    self._land(message_id, flights[message_id], opener)
                    learning.append(asyncio.get_running_loop().create_task(self._learn(message_id, opener)))
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
        finally:
            for message_id, flight in flights.items():
                self._land(message_id, flight, lambda: None)
            await asyncio.gather(*learning, return_exceptions=True)

    async def _learn(self, message_id: int, opener: Opener) -> None:
        body = opener()
        if body is not None:
            try:
                await self._learner.learn(message_id, body)
            finally:
                body.close()

    # -- octets -------------------------------------------------------------------------------------------------------

    async def _read_into_cache(self, message_id: int, content: MessageContent) -> Opener:
        cache, account_id = self._context.cache, self._context.account_id
        try:
            writer = await asyncio.to_thread(cache.writer, account_id, message_id)
        except OSError as error:
            log.warning("the cache cannot be written: %s", error)
            return await _read_uncached(content)
        if not await _copy_to(writer, content):
            return await _read_uncached(content)

        def opener() -> OpenBody | None:
            cached = cache.open(account_id, message_id)
            return CacheBody(cached) if cached is not None else None

        if (body := opener()) is None:
            # Larger than the whole cache, or pushed out at once.
            return await _read_uncached(content)
        body.close()
        return opener


async def _read_uncached(content: MessageContent) -> Opener:
    if content.size <= IN_MEMORY_OCTETS:
        data = b"".join([chunk async for chunk in content.chunks()])
        return lambda: MemoryBody(data)
    with tempfile.TemporaryFile() as file:
        async for chunk in content.chunks():
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return lambda: MappedBody(mapped)


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
