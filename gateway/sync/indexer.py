"""Filling the search index in the background: newest first, a few messages at a time, pausing as long as it worked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from connectors.api import errors
from connectors.api.priority import Priority, prioritised
from connectors.api.types import MessageRef
from gateway.message.octets import Buffer, take
from gateway.message.scan import scan
from gateway.message.text_index import body_texts, header_texts
from gateway.store import indexable, mailboxes, outlines
from gateway.store.errors import is_fault
from gateway.store.indexable import IndexableRow
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import Hydration
from gateway.store.search_index import AccountIndex, IndexUnavailable
from gateway.store.search_rows import IndexEntry, Level
from gateway.sync.bodies import Bodies
from gateway.sync.context import AccountContext
from gateway.sync.open_body import OpenBody

log = logging.getLogger(__name__)

PAGE_ROWS = 250
"""Messages looked at per query of the store."""

STEP_MESSAGES = 24
STEP_OCTETS = 512 << 10
"""What is put into the index at a time. Its texts are taken out in a thread that shares the interpreter with the event
loop, a fifth of a millisecond for a usual message."""

MAX_CHARACTERS = 16 << 20
"""A body with more text than this is not kept in the index, but read when it is searched."""

CHECK_S = 60.0
"""How often the background looks for what it was not told of."""

RETRY_S = 60.0
"""How long an index that cannot be written, or a backend that cannot be read, is left alone."""

SWEEP_INTERVAL_S = 6 * 3600.0
"""How often what is gone from the store is taken out of the index."""

MAX_QUEUED = 20_000
"""Messages remembered as news; of more than that the mailboxes are gone through."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A message to be put into the index, up to a level."""

    message_id: int
    ref: MessageRef
    level: Level


class Indexer:
    """Keeps the index of one account. `start` it once, `stop` it at the end."""

    def __init__(self, context: AccountContext, bodies: Bodies, index: AccountIndex, *, is_eager: bool = True) -> None:
        """Unless `is_eager`, only what is read for other reasons comes into the index."""
        self._is_eager = is_eager
        self._context = context
        self._bodies = bodies
        self._index = index
        self._queue: dict[int, None] = {}
        self._done_to: dict[int, int] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failed: set[int] = set()
        self._generation: int | None = None
        self._swept_at: float | None = None

    def start(self) -> None:
        """Begin to work."""
        if self._task is None:
            name = f"index {self._context.account.name}"
            self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def stop(self) -> None:
        """End the work; what was begun is put into the index in full or not at all."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def learned(self, message_ids: Collection[int]) -> None:
        """Take note of messages that have been read, so that there is more to be known of them."""
        if len(self._queue) + len(message_ids) > MAX_QUEUED:
            self._queue.clear()
            self._done_to.clear()
        else:
            self._queue.update(dict.fromkeys(message_ids))
        self._news.set()

    async def fill(self) -> None:
        """Put everything into the index that is known and is not in it.

        Raises:
            IndexUnavailable: see there.
            ConnectorError: the backend cannot give a message now.
        """
        await self._index.load()
        if self._index.generation != self._generation:
            self._generation = self._index.generation
            self._done_to.clear()
        account_id = self._context.account_id
        rows = await self._context.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
        for row in rows if self._is_eager else ():
            await self._fill_mailbox(row)
        while self._queue:
            ids = list(self._queue)[:PAGE_ROWS]
            for message_id in ids:
                del self._queue[message_id]
            await self._fill_news(ids)

    async def sweep(self) -> None:
        """Take out of the index what is no more in the store.

        Raises:
            IndexUnavailable: see there.
        """
        await self._index.load()
        last = 0
        while ids := await self._index.ids_after(last):
            last = ids[-1]
            there = await self._context.store.read_bulk(
                lambda tx, ids=ids: indexable.existing(tx, ids)  # type: ignore[misc]
            )
            await self._index.remove(set(ids) - there)

    # -- the task -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        with prioritised(Priority.BACKGROUND):
            while True:
                try:
                    await self.fill()
                    now = self._context.clock.monotonic()
                    if self._swept_at is None or now - self._swept_at > SWEEP_INTERVAL_S:
                        await self.sweep()
                        self._swept_at = now
                except (IndexUnavailable, errors.ConnectorError) as error:
                    log.info("account %s: the search index waits: %s", self._context.account.name, error)
                    self._done_to.clear()
                    await asyncio.sleep(RETRY_S)
                except Exception as error:
                    text = "account %s: the search index waits: %s"
                    log.error(text, self._context.account.name, error, exc_info=is_fault(error))
                    self._done_to.clear()
                    await asyncio.sleep(RETRY_S)
                await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the news.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S):
                await self._news.wait()
        self._news.clear()

    async def _fill_mailbox(self, row: MailboxRow) -> None:
        """Go through what is new in a mailbox since it was gone through last."""
        done_to, top = self._done_to.get(row.id, 0), row.uidnext - 1
        if top <= done_to:
            return
        below = row.uidnext
        while rows := await self._context.store.read_bulk(
            lambda tx: indexable.newest(tx, row.id, PAGE_ROWS, above_uid=done_to, below_uid=below)  # noqa: B023
        ):
            below = rows[-1][0]
            await self._fill_some(row, rows)
        self._done_to[row.id] = top

    async def _fill_news(self, message_ids: Sequence[int]) -> None:
        by_mailbox = await self._context.store.read_bulk(lambda tx: indexable.placed(tx, message_ids))
        for mailbox_id, rows in by_mailbox.items():
            key = mailbox_id
            row = await self._context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, key))  # noqa: B023
            if row is not None:
                await self._fill_some(row, rows)

    async def _fill_some(self, row: MailboxRow, rows: Sequence[IndexableRow]) -> None:
        for step in _steps(await self._tasks(rows)):
            await self._context.lull.wait()
            began = perf_counter()
            await self._index_step(row, step)
            # As long as the work was: whoever else wants the interpreter or the disk has it half of the time.
            await asyncio.sleep(perf_counter() - began)

    async def _tasks(self, rows: Sequence[IndexableRow]) -> list[_Task]:
        """Return what is to be done: more of a message may be known than the index has."""
        ids = [message_id for _, message_id, *_ in rows]
        near = await self._bodies.at_hand(ids)
        tasks: list[_Task] = []
        for (_, message_id, ref, hydration), has in zip(rows, self._index.levels_of(ids), strict=True):
            level = Level.HEADER if hydration >= Hydration.HEADER else Level.NOTHING
            if message_id in near and message_id not in self._failed:
                level = Level.WHOLE
            if level > has:
                tasks.append(_Task(message_id, MessageRef(ref), level))
        return tasks

    async def _index_step(self, row: MailboxRow, step: Sequence[_Task]) -> None:
        whole = {task.message_id: task for task in step if task.level is Level.WHOLE}
        small = await self._bodies.small.read(row, list(whole))
        opened: list[tuple[int, OpenBody]] = []
        try:
            octets = sum(map(len, small.values()))
            for message_id, task in whole.items():
                if message_id not in small and (octets < STEP_OCTETS or not opened):
                    body = await self._open(row, task)
                    if body is not None:
                        opened.append((message_id, body))
                        octets += body.size
            found = [*small.items(), *((key, body.buffer()) for key, body in opened)]
            entries = await asyncio.to_thread(_whole_entries, found)
        finally:
            for _, body in opened:
                body.close()
        self._failed.update(entry.message_id for entry in entries if entry.body is None)
        headers_only = [task.message_id for task in step if task.level is Level.HEADER]
        if headers_only:
            blocks = await self._context.store.read_bulk(lambda tx: outlines.header_values(tx, headers_only))
            entries += await asyncio.to_thread(_header_entries, blocks)
        if entries:
            await self._index.add(entries)
        # What did not fit into the step's octets comes again.
        left = whole.keys() - {entry.message_id for entry in entries} - self._failed
        self._queue.update(dict.fromkeys(left))

    async def _open(self, row: MailboxRow, task: _Task) -> OpenBody | None:
        try:
            return await self._bodies.open(row, task.message_id, task.ref)
        except errors.NotFound:
            self._failed.add(task.message_id)
        except (errors.Rejected, errors.Denied, errors.TooLarge, errors.Unsupported) as error:
            # It may be this message's own, and must not keep the others out.
            log.info("account %s: message %s: %s", self._context.account.name, task.ref, error.operator_text)
            self._failed.add(task.message_id)
        return None


def _steps(tasks: Sequence[_Task]) -> Iterator[Sequence[_Task]]:
    for start in range(0, len(tasks), STEP_MESSAGES):
        yield tasks[start : start + STEP_MESSAGES]


def _whole_entries(found: Sequence[tuple[int, Buffer]]) -> list[IndexEntry]:
    entries = []
    for message_id, buffer in found:
        part = scan(buffer)
        header = header_texts(take(buffer, part.header_start, part.body_start))
        body = body_texts(buffer, part)
        kept = body if len(body) <= MAX_CHARACTERS else None
        entries.append(IndexEntry(message_id, header.fields, header.whole, header.sent_day, kept))
    return entries


def _header_entries(blocks: dict[int, bytes]) -> list[IndexEntry]:
    entries = []
    for message_id, block in blocks.items():
        header = header_texts(block)
        entries.append(IndexEntry(message_id, header.fields, header.whole, header.sent_day))
    return entries
