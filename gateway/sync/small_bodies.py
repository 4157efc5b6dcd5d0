"""Small messages that are at hand, many at a time: what a client that reads a whole mailbox is served from."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from connectors.api import errors
from connectors.api.abilities import BatchFetch
from connectors.api.types import BytesContent, MessageRef
from gateway.store import messages
from gateway.store.disk_wait import DiskWait
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
        cache, account_id = self._context.cache, self._context.account_id
        wanted = [message_id for message_id in message_ids if cache.has(account_id, message_id)]
        found: dict[int, bytes] = {}
        left = wanted if self._is_cold else wanted[self._read_files(wanted, found, ON_LOOP_S) :]
        if left:
            await asyncio.to_thread(self._read_files, left, found, math.inf)
        # After a batch in a thread the next is tried on the loop: should the disk be needed again, for one file only.
        self._is_cold = bool(left) and not self._is_cold
        return found

    def _read_files(self, message_ids: Sequence[int], found: dict[int, bytes], longest_s: float) -> int:
        """Read files until the disk keeps us waiting; return how many were looked at."""
        cache, account_id = self._context.cache, self._context.account_id
        wait = DiskWait(longest_s)
        for count, message_id in enumerate(message_ids, 1):
            data = cache.read_small(account_id, message_id, _FILE_OCTETS)
            if data is not None:
                found[message_id] = data
            if wait.is_long():
                return count
        return len(message_ids)

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
            async with aclosing(connector.fetch_many(ref_of(row), list(ids))) as contents:
                async for ref, content in contents:
                    if isinstance(content, BytesContent):
                        found[ids[ref]] = content.data
        except errors.ConnectorError as error:
            # Whoever asks for what is missing is told.
            log.info("account %s: %s: %s", context.account.name, row.ref, error.operator_text)
        return found
