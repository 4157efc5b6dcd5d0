"""Storing what reading whole messages teaches: exact size, header, structure, part index, preview."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.message.envelope import render_envelope
from gateway.message.headers import header_block
from gateway.message.index import encode_index
from gateway.message.octets import Buffer
from gateway.message.preview import preview
from gateway.message.scan import scan
from gateway.message.sort_keys import sort_keys
from gateway.message.structure import render_structure
from gateway.store import messages, outlines
from gateway.store.database import Store, Transaction
from gateway.store.errors import StoreError
from gateway.store.messages import Hydration
from gateway.store.outlines import OutlineValues
from gateway.sync.open_body import OpenBody

log = logging.getLogger(__name__)

SCAN_IN_THREAD_OCTETS = 256 << 10
"""From this size on a message is scanned beside the event loop (256 KiB take about a quarter of a millisecond)."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What one message taught, and who waits for it to be stored."""

    values: OutlineValues
    size: int
    stored: asyncio.Future[None]


class Learner:
    """Writes what was learned in few transactions: whatever comes up during one commit goes into the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lessons: list[_Lesson] = []
        self._writing: asyncio.Task[None] | None = None

    async def learn(self, message_id: int, body: OpenBody) -> None:
        """Scan a message, unless that was done before, and store what it teaches; returns when that is on disk."""
        if not await self._is_new(message_id, body.size):
            return
        if body.size < SCAN_IN_THREAD_OCTETS:
            values = _outline(message_id, body.buffer())
        else:
            values = await asyncio.to_thread(_outline, message_id, body.buffer())
        lesson = _Lesson(values, body.size, asyncio.get_running_loop().create_future())
        self._lessons.append(lesson)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_all())
        await lesson.stored

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _is_new(self, message_id: int, size: int) -> bool:
        rows = await self._store.read(lambda tx: messages.message_rows(tx, [message_id]))
        row = rows.get(message_id)
        return row is not None and not (row.hydration is Hydration.FULL and row.size == size and row.size_is_exact)

    async def _write_all(self) -> None:
        while self._lessons:
            lessons, self._lessons = self._lessons, []
            try:
                await self._store.write(lambda tx, batch=lessons: _write(tx, batch))  # type: ignore[misc]
            except StoreError as error:
                log.error("what %d messages taught cannot be stored: %s", len(lessons), error.operator_text)
            except Exception:
                # It can be learned again; the octets themselves are at hand.
                log.exception("what %d messages taught could not be stored", len(lessons))
            finally:
                for lesson in lessons:
                    if not lesson.stored.done():
                        lesson.stored.set_result(None)


async def _write(tx: Transaction, lessons: Sequence[_Lesson]) -> None:
    known = await outlines.structures(tx, [lesson.values.message_id for lesson in lessons])
    # What clients were told stays, even if the backend counts a broken message's parts differently.
    kept = [
        replace(lesson.values, body_structure=known.get(lesson.values.message_id, lesson.values.body_structure))
        for lesson in lessons
    ]
    await outlines.save_outlines(tx, kept)
    await messages.set_sizes(tx, {lesson.values.message_id: lesson.size for lesson in lessons})


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
        keys=sort_keys(header),
    )
