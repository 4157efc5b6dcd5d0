"""What is on record of appends in flight, and for how long it answers their repetition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.api.types import MessageContent
from gateway.message.likeness import Likeness, Portrait
from gateway.store import intents, messages, placements
from gateway.store.database import Transaction
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxRow
from gateway.sync.appended import AppendedOctets
from gateway.sync.context import AccountContext

KIND = "append"
STORED = "stored "
"""The state of an intent found done after a restart; the UID follows."""

ANSWER_AGAIN_S = 600
"""How long after a lost answer a repeated APPEND of the same octets is taken for the same one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A message to be stored; without a date it is that of the moment."""

    content: MessageContent
    flags: Sequence[str]
    internal_date: datetime | None


class AppendIntents:
    """The intents of one account's appends, and the octets that are kept with them."""

    def __init__(self, context: AccountContext, appended: AppendedOctets) -> None:
        self._context = context
        self._appended = appended

    async def record(self, row: MailboxRow, uploads: Sequence[tuple[Likeness, Upload]]) -> list[IntentRow]:
        """Put on record that messages are about to be stored, before the backend is asked."""
        account_id, created = self._context.account_id, int(self._context.clock.now().timestamp())

        async def body(tx: Transaction) -> list[IntentRow]:
            newest, recorded = await messages.newest_id(tx), []
            for likeness, upload in uploads:
                payload: dict[str, object] = {"mailbox": row.id, "uidnext": row.uidnext, "size": upload.content.size}
                payload |= {"likeness": likeness.encode(), "newest": newest}
                if upload.internal_date is not None:
                    payload["date"] = upload.internal_date.isoformat()
                intent_id = await intents.record(tx, account_id, KIND, payload, likeness.digest)
                state = intents.STARTED
                recorded.append(IntentRow(intent_id, account_id, KIND, payload, likeness.digest, state, created))
            return recorded

        return await self._context.store.write(body)

    async def pending(self) -> list[IntentRow]:
        """Return what is on record, oldest first."""
        account_id = self._context.account_id
        pending = await self._context.store.read(lambda tx: intents.pending(tx, account_id))
        return [intent for intent in pending if intent.kind == KIND]

    async def forget(self, *settled: IntentRow) -> None:
        """Take appends off the record whose outcome is known, and let go of octets that no message has got."""

        async def body(tx: Transaction) -> None:
            for intent in settled:
                await intents.settle(tx, intent.id)

        await self._context.store.write(body)
        for intent in settled:
            await self._appended.release(intent)

    def is_recent(self, intent: IntentRow) -> bool:
        """Whether whoever repeats this append now is given its answer."""
        # Of either sign: an intent from the future is one from before the clock was set right.
        return abs(self._context.clock.now().timestamp() - intent.created) <= ANSWER_AGAIN_S


async def keep_date(tx: Transaction, row: MailboxRow, uid: int, intent: IntentRow) -> None:
    """Let an appended message have the date that was asked for, where the backend holds another or has told none.

    Not so if the message was known before: a backend may answer with one that it had already, whose date clients know.
    """
    asked = intent.payload.get("date")
    placed = await placements.by_uids(tx, row.id, [uid])
    if not isinstance(asked, str) or not placed or placed[0][1] <= number(intent, "newest"):
        return
    message_id, date = placed[0][1], datetime.fromisoformat(asked)
    known = (await messages.message_rows(tx, [message_id]))[message_id]
    if known.internal_date != int(date.timestamp()):
        await messages.set_dates(tx, {message_id: date}, is_final=True)


def number(intent: IntentRow, key: str) -> int:
    """Return what the record says under `key`: mailbox, uidnext, size or newest."""
    value = intent.payload[key]
    assert isinstance(value, int)
    return value


async def portrayed(content: MessageContent) -> Likeness:
    """Return what the message is known again by."""
    portrait = Portrait()
    async for chunk in content.chunks():
        portrait.feed(chunk)
        await asyncio.sleep(0)
    return portrait.finish()
