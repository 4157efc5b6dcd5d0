"""Small messages that are at hand, many at a time: what a client that reads a whole mailbox is served from."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from connectors.api import errors
from connectors.api.abilities import BatchFetch
from connectors.api.types import BytesContent, MessageRef
from gateway.store import messages
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, ref_of
from gateway.sync.first_copies import FirstCopies

log = logging.getLogger(__name__)

SMALL_OCTETS = 128 << 10
"""A message up to this size is small; a larger one is streamed on its own."""

BATCH_OCTETS = 256 << 10
"""What a batch may weigh in all, so that little of a mailbox is in memory at a time."""

BATCH_MESSAGES = 64
"""Messages of a batch at most."""

ON_LOOP_S = 0.002
"""So long files of the cache are read on the event loop. What takes longer waits for the disk, and goes to a thread."""

_STEP = 8
# What a file of the cache with a small message takes up at most.
_FILE_OCTETS = SMALL_OCTETS + 4096


class SmallBodies:
    """Reads small messages of one account."""

    def __init__(self, context: AccountContext, copies: FirstCopies) -> None:
        self._context = context
        self._copies = copies
        self._is_cold = False

    async def read(self, row: MailboxRow, message_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the octets of those of the messages that can be had at once, by message id.

        For at most `BATCH_MESSAGES` of `SMALL_OCTETS` each. The others, and what is wrong with them, are left to
        `Bodies.open`.
        """
        if self._context.account.capabilities.local_bodies:
            return await self._read_local(row, message_ids)
        if self._copies.are_needed:
            kept = await self._copies.kept_among(message_ids)
            message_ids = [message_id for message_id in message_ids if message_id not in kept]
        return await self._read_cached(message_ids)

    async def _read_cached(self, message_ids: Sequence[int]) -> dict[int, bytes]:
        """Read files of the cache: on the loop as long as they are in memory, as a thread for each is far dearer."""
        cache, account_id, clock = self._context.cache, self._context.account_id, self._context.clock
        wanted = [message_id for message_id in message_ids if cache.has(account_id, message_id)]
        found: dict[int, bytes] = {}
        started = clock.monotonic()
        while wanted and not self._is_cold:
            found |= self._read_files(wanted[:_STEP])
            wanted = wanted[_STEP:]
            self._is_cold = clock.monotonic() - started > ON_LOOP_S
        if wanted:
            started = clock.monotonic()
            found |= await asyncio.to_thread(self._read_files, wanted)
            self._is_cold = clock.monotonic() - started > ON_LOOP_S
        return found

    def _read_files(self, message_ids: Sequence[int]) -> dict[int, bytes]:
        cache, account_id = self._context.cache, self._context.account_id
        read = ((message_id, cache.read_small(account_id, message_id, _FILE_OCTETS)) for message_id in message_ids)
        return {message_id: data for message_id, data in read if data is not None}

    async def _read_local(self, row: MailboxRow, message_ids: Sequence[int]) -> dict[int, bytes]:
        context = self._context
        if not context.account.is_open or not context.is_current(row):
            return {}
        connector = context.account.connector
        if not isinstance(connector, BatchFetch):
            return {}
        refs = await context.store.read(partial(messages.refs_by_ids, ids=message_ids))
        ids = {MessageRef(ref): key for key, ref in refs.items() if not messages.is_retired(ref)}
        found: dict[int, bytes] = {}
        try:
            async for ref, content in connector.fetch_many(ref_of(row), list(ids)):
                if isinstance(content, BytesContent):
                    found[ids[ref]] = content.data
        except errors.ConnectorError as error:
            # Whoever asks for what is missing is told.
            log.info("account %s: %s: %s", context.account.name, row.ref, error.operator_text)
        return found
