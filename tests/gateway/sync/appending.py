"""Appending in tests, and what is on record of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from connectors.api.abilities import NewMessage, PreparedAppend
from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential
from connectors.api.types import BytesContent, MailboxRef, MessageState
from connectors.memory.backend import MemoryBackend
from connectors.memory.connector import MemoryConnector, shared_spec
from gateway.store import intents, mailboxes
from gateway.store.accounts import AccountRow
from gateway.store.mailboxes import MailboxRow
from tests.stack import Stack, message, running_stack

DATE = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
BOX = ("Box",)
DRAFT = b"Subject: to do\n\nText\n"
LAYOUTS = ["folders", "items", "labels"]


class Preparing(MemoryConnector, PreparedAppend):
    """A connector that is handed messages before they may be stored."""

    async def append_by_leave(
        self, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
    ) -> Sequence[MessageState]:
        await asyncio.wrap_future(leave)
        if len(messages) > 1:
            return await self.append_many(mailbox, messages)
        (one,) = messages
        return [await self.append(mailbox, one.content, one.flags, one.internal_date)]


@asynccontextmanager
async def appending_stack(directory: Path, *, is_prepared: bool) -> AsyncIterator[Stack]:
    """Run a stack whose connectors are asked to append only once that is on record, or already before."""
    backends: dict[str, MemoryBackend] = {}
    spec = shared_spec(backends)

    def connect(row: AccountRow) -> Connector:
        connector = spec.build(row.settings, FixedCredential(None))
        return Preparing(connector.backend) if is_prepared else connector

    async with running_stack(directory, backends, make_connector=connect) as stack:
        yield stack


async def append(stack: Stack, number: int = 1, flags: tuple[str, ...] = ()) -> int:
    return (await (await stack.user()).append("INBOX", BytesContent(message(number)), flags, DATE)).uid


async def append_octets(stack: Stack, data: bytes) -> int:
    return (await (await stack.user()).append("INBOX", BytesContent(data), (), DATE)).uid


def as_stored(data: bytes) -> bytes:
    """Return what a backend makes of a message without Message-ID."""
    return b"Message-ID: <CA1@mail.example>\r\n" + data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


async def box_row(stack: Stack) -> MailboxRow:
    account_id = stack.engine().context.account_id
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
    return next(row for row in rows if row.path == BOX)


async def open_intents(stack: Stack) -> list[intents.IntentRow]:
    account_id = stack.engine().context.account_id
    return await stack.store.read(lambda tx: intents.pending(tx, account_id))
