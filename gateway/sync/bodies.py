"""The octets of messages: from the cache, or once from the backend, whoever asks meanwhile joining in."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import mmap
import tempfile
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from connectors.api import errors
from connectors.api.abilities import BatchFetch
from connectors.api.connector import Connector
from connectors.api.priority import Priority, Turn, current_priority, current_turn
from connectors.api.types import DatedContent, MessageContent, MessageRef
from gateway.message.likeness import Likeness, Portrait
from gateway.store import messages
from gateway.store.body_folder import BodyWriter
from gateway.store.errors import StoreError, is_fault
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, ref_of
from gateway.sync.first_copies import FirstCopies, KeptInstead, OctetsDiffer
from gateway.sync.learner import Learner
from gateway.sync.open_body import CacheBody, MappedBody, MemoryBody, OpenBody
from gateway.sync.recent_body import RecentBody
from gateway.sync.small_bodies import SmallBodies

log = logging.getLogger(__name__)

T = TypeVar("T")

IN_MEMORY_OCTETS = 1 << 20
"""A message up to this size that is not cached is held in memory while it is served; a larger one in a file."""

MAX_DATELESS = 100_000

_ITS_OWN = (errors.NotFound, errors.Rejected, errors.Denied, errors.TooLarge, errors.Unsupported)
"""Errors that may be about one message, so that others can be had all the same."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message to be read."""

    message_id: int
    ref: MessageRef


Claim = Callable[[bytes], Awaitable[None]]
"""Asks whether octets with that SHA-256 may be served; see `FirstCopies.claim`."""

Opener = Callable[[], OpenBody | None]
"""Opens a message that has just been read; gives None if it has left the cache meanwhile."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """A message that is being read. If somebody begins to wait for it, the reading of it is background work no more."""

    landed: asyncio.Future[Opener]
    turn: Turn

    def join(self) -> None:
        if current_priority() is Priority.INTERACTIVE:
            self.turn.hurry()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What came of reading several messages: those that have come, and what prevented the rest."""

    learned: frozenset[int] = frozenset()
    error: errors.ConnectorError | None = None


class Bodies:
    """Gets at the octets of one account's messages."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._learner = Learner(context.store)
        self._copies = FirstCopies(context)
        self.small = SmallBodies(context, self._copies)
        self._recent = RecentBody()
        self._flights: dict[int, _Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.dateless: set[int] = set()
        """Messages of which the backend tells no date, as long as this process lives."""

    async def open(self, row: MailboxRow, message_id: int, ref: MessageRef) -> OpenBody:
        """Return the message's octets; from the backend if they are not cached, and then only once at a time.

        What reading a message for the first time teaches is stored behind the caller's back; see `learn`.

        Raises:
            NotFound: the message is gone.
            ConnectorError: the backend cannot give it now.
        """
        while True:
            cached = await self._copies.open_kept(message_id)
            if cached is None:
                cached = self._context.cache.open(self._context.account_id, message_id)
            if cached is not None:
                return CacheBody(cached)
            if messages.is_retired(ref):
                raise errors.NotFound(f"message {message_id} is no more; what had its name is another")
            if (recent := self._recent.open(message_id)) is not None:
                return recent
            flight = self._flights.get(message_id)
            if flight is None:
                flight = self._take_off([message_id])[message_id]
                self._start(self._fetch_one(row, Wanted(message_id, ref), flight))
            else:
                flight.join()
            # Shielded: a client that hangs up does not end the download that others wait for.
            body = (await asyncio.shield(flight.landed))()
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

    async def at_hand(self, message_ids: Collection[int]) -> set[int]:
        """Return those of the messages that can be read without the backend."""
        context = self._context
        if context.account.capabilities.local_bodies:
            return set(message_ids)
        cached = {key for key in message_ids if context.cache.has(context.account_id, key)}
        return cached | await self._copies.kept_among(message_ids)

    async def read_ahead(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Begin to read messages that will be asked for next, in one request; does nothing where that gains nothing."""
        account = self._context.account
        if account.is_open:
            missing = await self._missing(wanted)
            self._begin_batch(account.connector, row, missing[: account.capabilities.outline_limit])

    def hurry(self, wanted: Sequence[Wanted]) -> None:
        """Take note that somebody is about to wait for messages that may be being read already."""
        for item in wanted:
            if item.message_id in self._flights:
                self._flights[item.message_id].join()

    async def learn_many(self, row: MailboxRow, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Read messages in as few requests as the backend allows, until what they teach is in the store.

        Returns those that are left to `learn`, one by one: what is at hand or being read already, what the backend did
        not give or cannot give together with others.

        Raises:
            ConnectorError: the backend cannot give them now; some may have been learned.
        """
        connector = await self._context.account.open()
        limit = self._context.account.capabilities.outline_limit
        learned: set[int] = set()
        for start in range(0, len(wanted), limit):
            # Looked up batch by batch, as others may be reading some of them meanwhile.
            missing = await self._missing(wanted[start : start + limit])
            batch = self._begin_batch(connector, row, missing)
            if batch is None:
                continue
            # Not awaited itself: it goes on for those who have joined, and its cancellation is not the caller's.
            await asyncio.wait([batch])
            result = _Batch() if batch.cancelled() else batch.result()
            if result.error is not None and not isinstance(result.error, _ITS_OWN):
                raise result.error
            learned |= result.learned
        return [item for item in wanted if item.message_id not in learned]

    async def _missing(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        cache, account_id = self._context.cache, self._context.account_id
        kept = await self._copies.kept_among(item.message_id for item in wanted)
        return [
            item
            for item in wanted
            if item.message_id not in self._flights
            and not messages.is_retired(item.ref)
            and item.message_id not in kept
            and not cache.has(account_id, item.message_id)
        ]

    def _begin_batch(
        self, connector: Connector, row: MailboxRow, wanted: Sequence[Wanted]
    ) -> asyncio.Task[_Batch] | None:
        """Begin to read messages in one request; None where that gains nothing."""
        if not isinstance(connector, BatchFetch) or self._context.account.capabilities.local_bodies or len(wanted) < 2:
            return None
        flights = self._take_off([item.message_id for item in wanted])
        return self._start(self._fetch_many(connector, row, wanted, flights))

    async def likeness_of(self, row: MailboxRow, message_id: int, ref: MessageRef) -> Likeness:
        """Return what the message is known again by; see `open` for what is raised."""
        body = await self.open(row, message_id, ref)
        try:
            portrait = Portrait()
            for offset in range(0, body.size, IN_MEMORY_OCTETS):
                portrait.feed(await body.read(offset, IN_MEMORY_OCTETS))
            return portrait.finish()
        finally:
            body.close()

    async def close(self) -> None:
        """End what is being read and finish what is being stored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._recent.close()
        await self._copies.close()
        await self._learner.close()

    # -- flights ------------------------------------------------------------------------------------------------------

    def _take_off(self, message_ids: Sequence[int]) -> dict[int, _Flight]:
        loop, turn = asyncio.get_running_loop(), current_turn()
        flights = {key: _Flight(loop.create_future(), turn) for key in message_ids}
        self._flights.update(flights)
        return flights

    def _land(self, message_id: int, flight: _Flight, opener: Opener) -> None:
        """Let those who wait have the message, and whoever comes later look in the cache."""
        self._flights.pop(message_id, None)
        if not flight.landed.done():
            flight.landed.set_result(opener)

    def _crash(self, message_id: int, flight: _Flight, error: errors.ConnectorError) -> None:
        """Let those who wait know why they do not get the message."""
        self._flights.pop(message_id, None)
        if not flight.landed.done():
            flight.landed.set_exception(error)
            # Those who waited may have gone.
            flight.landed.exception()

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _fetch_one(self, row: MailboxRow, item: Wanted, flight: _Flight) -> None:
        try:
            opener, dates = await self._read_one(row, item)
        except OctetsDiffer as error:
            self._crash(item.message_id, flight, error)
            return
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
            self._crash(item.message_id, flight, error)
            return
        except BaseException as error:
            # Not its cancellation: those who wait are not the ones being cancelled.
            self._crash(item.message_id, flight, errors.Unavailable(f"message {item.ref}: {error!r}"))
            if not isinstance(error, Exception):
                raise
            log.error("message %s could not be read: %s", item.ref, error, exc_info=is_fault(error))
            return
        self._land(item.message_id, flight, opener)
        await self._note_dates(dates)
        await self._learn(item.message_id, opener)

    async def _read_one(self, row: MailboxRow, item: Wanted) -> tuple[Opener, dict[int, datetime]]:
        await self._context.ensure_current(row)
        connector = await self._context.account.open()
        content = await connector.fetch(ref_of(row), item.ref)
        dates = self._date_of(item.message_id, content)
        try:
            if self._context.account.capabilities.local_bodies:
                opener = await _read_uncached(content, self._claim_of(item.message_id))
                if content.size > IN_MEMORY_OCTETS:
                    self._recent.keep(item.message_id, opener)
                return opener, dates
            return await self._read_into_cache(item.message_id, content), dates
        except KeptInstead:
            return lambda: None, dates

    async def _fetch_many(
        self, connector: BatchFetch, row: MailboxRow, wanted: Sequence[Wanted], flights: Mapping[int, _Flight]
    ) -> _Batch:
        """Read several messages until what they teach is stored; one that does not come is left to whoever asks."""
        ids = {item.ref: item.message_id for item in wanted}
        learning: dict[int, asyncio.Task[None]] = {}
        dates: dict[int, datetime] = {}
        gone: set[int] = set()
        failure: errors.ConnectorError | None = None
        try:
            await self._context.ensure_current(row)
            async with aclosing(connector.fetch_many(ref_of(row), list(ids))) as found:
                async for ref, content in found:
                    message_id = ids[ref]
                    try:
                        opener = await self._read_into_cache(message_id, content)
                    except KeptInstead:
                        # Not learned: whoever asks finds what is kept.
                        continue
                    except OctetsDiffer as error:
                        self._crash(message_id, flights[message_id], error)
                        gone.add(message_id)
                        continue
                    dates.update(self._date_of(message_id, content))
                    self._land(message_id, flights[message_id], opener)
                    learning[message_id] = asyncio.get_running_loop().create_task(self._learn(message_id, opener))
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
            failure = error
        except Exception as error:
            log.error("%d messages could not be read: %s", len(wanted), error, exc_info=is_fault(error))
            failure = errors.Unavailable(repr(error))
        finally:
            for message_id, flight in flights.items():
                if message_id not in gone:
                    self._land(message_id, flight, lambda: None)
            await asyncio.gather(*learning.values(), return_exceptions=True)
        await self._note_dates(dates)
        return _Batch(frozenset(learning) | gone, failure)

    def _date_of(self, message_id: int, content: MessageContent) -> dict[int, datetime]:
        """Return the date that came with a message, if one did. Remember if it was to come, and did not."""
        if not isinstance(content, DatedContent):
            return {}
        if content.internal_date is None:
            self.note_dateless([message_id])
            return {}
        return {message_id: content.internal_date}

    def note_dateless(self, message_ids: Iterable[int]) -> None:
        """Remember messages of which the backend, asked for it, tells no date: it is not asked again and again."""
        if len(self.dateless) >= MAX_DATELESS:
            self.dateless.clear()
        self.dateless.update(message_ids)

    async def _note_dates(self, dates: Mapping[int, datetime]) -> None:
        """Store the dates that came with messages; one that is known already stays."""
        if not dates:
            return
        try:
            await self._context.store.write(lambda tx: messages.set_dates(tx, dates))
        except StoreError as error:
            # They come again with the next reading; the messages themselves are at hand.
            log.error("the dates of %d messages cannot be stored: %s", len(dates), error.operator_text)

    async def _learn(self, message_id: int, opener: Opener) -> None:
        body = opener()
        if body is not None:
            try:
                await self._learner.learn(message_id, body)
            finally:
                body.close()
            self._context.learned([message_id])

    # -- octets -------------------------------------------------------------------------------------------------------

    async def _read_into_cache(self, message_id: int, content: MessageContent) -> Opener:
        cache, account_id, claim = self._context.cache, self._context.account_id, self._claim_of(message_id)
        try:
            writer = await asyncio.to_thread(cache.writer, account_id, message_id)
        except OSError as error:
            log.warning("the cache cannot be written: %s", error)
            return await _read_uncached(content, claim)
        if not await _copy_to(writer, content, claim):
            return await _read_uncached(content, claim)

        def opener() -> OpenBody | None:
            cached = cache.open(account_id, message_id)
            return CacheBody(cached) if cached is not None else None

        if (body := opener()) is None:
            # Larger than the whole cache, or pushed out at once.
            return await _read_uncached(content, claim)
        body.close()
        return opener

    def _claim_of(self, message_id: int) -> Claim | None:
        """Return what octets have to pass before they are served as this message, where a backend's octets vary."""
        return functools.partial(self._copies.claim, message_id) if self._copies.are_needed else None


async def _read_uncached(content: MessageContent, claim: Claim | None) -> Callable[[], OpenBody]:
    if content.size <= IN_MEMORY_OCTETS:
        data = b"".join([chunk async for chunk in content.chunks()])
        if claim is not None:
            await claim(hashlib.sha256(data).digest())
        return lambda: MemoryBody(data)
    with tempfile.TemporaryFile() as file:
        await _pour(content, file.write, claim)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return lambda: MappedBody(mapped)


async def _pour(content: MessageContent, write: Callable[[bytes], object], claim: Claim | None) -> None:
    """Write the content beside the event loop, and then have it claimed, if it has to be."""
    digest = hashlib.sha256()

    def take(chunk: bytes) -> None:
        if claim is not None:
            digest.update(chunk)
        write(chunk)

    async for chunk in content.chunks():
        await asyncio.to_thread(take, chunk)
    if claim is not None:
        await claim(digest.digest())


async def _copy_to(writer: BodyWriter, content: MessageContent, claim: Claim | None) -> bool:
    """Write the content into the cache; False if the disk does not take it. Errors of the backend go through."""
    is_written = False
    try:
        await _pour(content, writer.write, claim)
        await asyncio.to_thread(writer.commit)
        is_written = True
    except OSError as error:
        log.warning("the cache cannot be written: %s", error)
    finally:
        if not is_written:
            await asyncio.to_thread(writer.abort)
    return is_written
