"""Appending in tests, and what is on record of it."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.api.types import BytesContent
from gateway.store import intents, mailboxes
from gateway.store.mailboxes import MailboxRow
from tests.stack import Stack, message

DATE = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
BOX = ("Box",)
DRAFT = b"Subject: to do\n\nText\n"
LAYOUTS = ["folders", "items", "labels"]


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
