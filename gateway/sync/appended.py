"""The octets that clients append, kept for good where the backend composes messages anew at each reading.

They are on the disk before the backend is asked, under the id of the append's intent, and are bound to the message in
the transaction that gives it its UID: whatever happens in between, what was appended is what is read back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence

from connectors.api import errors
from connectors.api.connector import Connector
from connectors.api.types import MessageContent, MessageRef
from gateway.message.headers import header_block
from gateway.message.text import header_text
from gateway.store import contents, messages, placements
from gateway.store.database import Transaction
from gateway.store.intents import IntentRow
from gateway.store.kept_bodies import KeptBodies
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, ref_of

log = logging.getLogger(__name__)

CANDIDATES = 256
"""Messages looked at together when one is looked for."""

_OTHERWISE_KNOWN_BY = ("Date", "From", "To", "Subject")
"""What tells one message from another that has no Message-ID, since the backend will have given it one."""


class AppendedOctets:
    """Keeps what is appended to one account's mailboxes, if its backend's octets vary; else does nothing."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    @property
    def are_kept(self) -> bool:
        """Whether this backend needs it."""
        return self._context.account.capabilities.bodies_vary

    async def keep(self, intent: IntentRow, content: MessageContent) -> None:
        """Write the octets down durably, before the backend is asked.

        Raises:
            Unavailable: the disk does not take them.
        """
        if not self.are_kept:
            return
        try:
            writer = await asyncio.to_thread(self._kept.writer_of, self._context.account_id, intent.id)
            try:
                async for chunk in content.chunks():
                    await asyncio.to_thread(writer.write, chunk)
                await asyncio.to_thread(writer.commit, is_durable=True)
            finally:
                await asyncio.to_thread(writer.abort)
        except OSError as error:
            raise errors.Unavailable(f"what was appended cannot be kept: {error}") from error

    async def release(self, intent: IntentRow) -> None:
        """Let go of the octets of an append that is settled, unless a message has them now."""
        if self.are_kept:
            account_id = self._context.account_id
            if not await self._context.store.read(lambda tx: contents.is_in_use(tx, account_id, intent.id)):
                await asyncio.to_thread(self._kept.drop, account_id, intent.id)

    async def bind(self, tx: Transaction, row: MailboxRow, uid: int, intent: IntentRow) -> tuple[int, set[int]]:
        """Make the octets those of the message with this UID; return its UID, and the mailboxes touched by it.

        It gets a new UID if it was read, and served as the backend has it, before it could be bound. One that was
        there before the append, and was served, stays as it is.
        """
        if not self.are_kept or not self._kept.has(self._context.account_id, intent.id):
            return uid, set()
        placed = await placements.by_uids(tx, row.id, [uid])
        if not placed or await contents.kept_ids(tx, [placed[0][1]]):
            return uid, set()
        message_id, touched = placed[0][1], {row.id}
        newest, size, digest = intent.payload["newest"], intent.payload["size"], intent.content_hash
        assert isinstance(newest, int)
        assert isinstance(size, int)
        assert digest is not None
        if await contents.claim(tx, {message_id: digest}):
            if message_id <= newest:
                return uid, set()
            renewed = (await contents.renew(tx, [message_id]))[message_id]
            message_id, uid = renewed.message_id, renewed.uids[row.id]
            touched.update(renewed.uids)
        await contents.keep(tx, message_id, intent.id, digest, size)
        return uid, touched

    # -- finding ------------------------------------------------------------------------------------------------------

    async def find(self, row: MailboxRow, intent: IntentRow) -> int | None:
        """Look for the message among those that came since, by what its header says; return its UID.

        Its octets do not tell. A message that is bound to other octets is not the one.

        Raises:
            ConnectorError: the backend cannot be asked now.
        """
        wanted = await asyncio.to_thread(self._header, intent)
        if wanted is None:
            return None
        uidnext = intent.payload["uidnext"]
        assert isinstance(uidnext, int)
        after_uid, store = uidnext - 1, self._context.store
        while found := await store.read_bulk(
            lambda tx, after=after_uid: placements.load_range(tx, row.id, after, CANDIDATES)  # type: ignore[misc]
        ):
            uids = {message_id: uid for uid, message_id, *_ in found}
            kept = await store.read_bulk(lambda tx, ids=list(uids): contents.kept_ids(tx, ids))  # type: ignore[misc]
            free = [message_id for message_id in uids if message_id not in kept]
            refs = await store.read_bulk(lambda tx, ids=free: messages.refs_by_ids(tx, ids))  # type: ignore[misc]
            matching = [message_id async for message_id, header in self._headers(row, refs) if _is_same(wanted, header)]
            if matching:
                return min(uids[message_id] for message_id in matching)
            after_uid = found[-1][0]
        return None

    def _header(self, intent: IntentRow) -> bytes | None:
        try:
            body = self._kept.open_kept(self._context.account_id, intent.id)
        except OSError as error:
            raise errors.Unavailable(f"what was appended cannot be read: {error}") from error
        if body is None:
            return None
        with body:
            return header_block(body.buffer())

    async def _headers(self, row: MailboxRow, refs: Mapping[int, str]) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the headers of the messages as the backend tells them now, without serving or storing anything."""
        connector = await self._context.account.open()
        ids = {MessageRef(ref): message_id for message_id, ref in refs.items()}
        limit = self._context.account.capabilities.outline_limit
        asked = list(ids)
        for start in range(0, len(asked), limit):
            batch = asked[start : start + limit]
            try:
                async for outline in connector.outlines(ref_of(row), batch):
                    yield ids[outline.ref], outline.header
            except errors.Unsupported:
                for ref in batch:
                    with contextlib.suppress(errors.NotFound):
                        yield ids[ref], await _fetched_header(connector, row, ref)

    @property
    def _kept(self) -> KeptBodies:
        return self._context.cache.kept


async def _fetched_header(connector: Connector, row: MailboxRow, ref: MessageRef) -> bytes:
    content = await connector.fetch(ref_of(row), ref)
    return header_block(b"".join([chunk async for chunk in content.chunks()]))


def _is_same(wanted: bytes, header: bytes) -> bool:
    """Whether a header is that of the message: has its Message-ID or, if that has none, its other fields."""
    names: Sequence[str] = ("Message-ID",) if _values(wanted, "Message-ID") else _OTHERWISE_KNOWN_BY
    values = [_values(wanted, name) for name in names]
    return any(values) and values == [_values(header, name) for name in names]


def _values(header: bytes, name: str) -> list[str]:
    return [" ".join(value.split()) for value in header_text(header, name)]
