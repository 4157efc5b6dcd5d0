"""What is on record of appends in flight, and for how long it answers their repetition."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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

TURN_OCTETS = 1 << 18
"""So much is looked at without a pause, for a millisecond."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A message to be stored; without a date it is that of the moment."""

    content: MessageContent
    flags: Sequence[str]
    internal_date: datetime | None


PART_OCTETS = 4 << 20
"""What goes to the backend by one request weighs no more than this, or is one message."""


def parts_of(uploads: Sequence[Upload], limit: int) -> Iterator[Sequence[Upload]]:
    """Yield the messages in parts, of no more than `limit` each, that are light enough for one request."""
    start = octets = 0
    for place, upload in enumerate(uploads):
        octets += upload.content.size
        if place > start and (place - start >= limit or octets > PART_OCTETS):
            yield uploads[start:place]
            start, octets = place, upload.content.size
    yield uploads[start:]


class AppendIntents:
    """The intents of one account's appends, and the octets that are kept with them.

    What is on record is read once: nobody else adds to it or takes from it while this process runs.
    """

    def __init__(self, context: AccountContext, appended: AppendedOctets) -> None:
        self._context = context
        self._appended = appended
        self._open: dict[int, IntentRow] | None = None
        self._being_written: dict[asyncio.Task[list[IntentRow]], int] = {}

    def begin(self, row: MailboxRow, uploads: Sequence[tuple[Likeness, Upload]]) -> asyncio.Task[list[IntentRow]]:
        """Begin to put on record that messages are about to be stored; with the task's end it is on the disk.

        The task is not to be cancelled with whoever waits for it: what is on record has to be known of, to be settled.
        """
        task = asyncio.get_running_loop().create_task(self._write(row, uploads))
        self._being_written[task] = row.id
        task.add_done_callback(self._written)
        return task

    async def record(self, row: MailboxRow, uploads: Sequence[tuple[Likeness, Upload]]) -> list[IntentRow]:
        """Put on record that messages are about to be stored, before the backend is asked."""
        return await asyncio.shield(self.begin(row, uploads))

    def _written(self, task: asyncio.Task[list[IntentRow]]) -> None:
        del self._being_written[task]
        if not task.cancelled():
            # Whoever has gone meanwhile asks no more.
            task.exception()

    async def _write(self, row: MailboxRow, uploads: Sequence[tuple[Likeness, Upload]]) -> list[IntentRow]:
        account_id, created = self._context.account_id, int(self._context.clock.now().timestamp())
        held = await self._held()

        async def body(tx: Transaction) -> list[IntentRow]:
            newest, recorded = await messages.newest_id(tx), []
            for likeness, upload in uploads:
                payload: dict[str, object] = {"mailbox": row.id, "uidnext": row.uidnext, "size": upload.content.size}
                payload |= {"likeness": likeness.encode(), "newest": newest, "uidvalidity": row.uidvalidity}
                if upload.internal_date is not None:
                    payload["date"] = upload.internal_date.isoformat()
                intent_id = await intents.record(tx, account_id, KIND, payload, likeness.digest)
                state = intents.STARTED
                recorded.append(IntentRow(intent_id, account_id, KIND, payload, likeness.digest, state, created))
            return recorded

        recorded = await self._context.store.write(body)
        held.update((intent.id, intent) for intent in recorded)
        return recorded

    async def _held(self) -> dict[int, IntentRow]:
        if self._open is None:
            account_id = self._context.account_id
            found = await self._context.store.read(lambda tx: intents.pending(tx, account_id))
            self._open = {intent.id: intent for intent in found if intent.kind == KIND}
        return self._open

    async def pending(self, mailbox_id: int | None = None) -> list[IntentRow]:
        """Return what is on record, or about to be, of one mailbox or all; oldest first."""
        writing = [task for task, its_id in self._being_written.items() if mailbox_id in (None, its_id)]
        if writing:
            await asyncio.wait(writing)
        held = (await self._held()).values()
        return [intent for intent in held if mailbox_id is None or number(intent, "mailbox") == mailbox_id]

    async def forget(self, *settled: IntentRow) -> None:
        """Take appends off the record whose outcome is known, and let go of octets that no message has got."""

        async def body(tx: Transaction) -> None:
            await intents.settle(tx, *(intent.id for intent in settled))

        await self._context.store.write(body)
        await self.forgotten(settled)

    async def forgotten(self, settled: Iterable[IntentRow]) -> None:
        """Take note of appends that a transaction has taken off the record; let go of their octets as `forget` does."""
        held = await self._held()
        for intent in settled:
            held.pop(intent.id, None)
            await self._appended.release(intent)

    async def answered(self, intent: IntentRow, uid: int) -> None:
        """Record that the message is stored under a UID that nobody has been told of yet."""
        await self._context.store.write(lambda tx: intents.set_state(tx, intent.id, f"{STORED}{uid}"))
        await self.noted(intent, uid)

    async def noted(self, intent: IntentRow, uid: int) -> IntentRow:
        """Take note of what a transaction has recorded as `answered` does; return what is on record now."""
        answered = replace(intent, state=f"{STORED}{uid}")
        (await self._held())[intent.id] = answered
        return answered

    def is_recent(self, intent: IntentRow) -> bool:
        """Whether whoever repeats this append now is given its answer."""
        # Of either sign: an intent from the future is one from before the clock was set right.
        return abs(self._context.clock.now().timestamp() - intent.created) <= ANSWER_AGAIN_S


async def was_there(tx: Transaction, row: MailboxRow, uid: int, intent: IntentRow) -> bool:
    """Whether a message was known before it was appended: a backend may answer with one that it had already."""
    return any(
        message_id <= number(intent, "newest") for _, message_id, *_ in await placements.by_uids(tx, row.id, [uid])
    )


async def keep_date(tx: Transaction, row: MailboxRow, uid: int, intent: IntentRow) -> None:
    """Let an appended message have the date that was asked for, where the backend holds another or has told none.

    Not so if the message was known before: a backend may answer with one that it had already, whose date clients know.
    """
    asked = intent.payload.get("date")
    if not isinstance(asked, str):
        return
    placed = await placements.by_uids(tx, row.id, [uid])
    if not placed or placed[0][1] <= number(intent, "newest"):
        return
    message_id, date = placed[0][1], datetime.fromisoformat(asked)
    known = (await messages.message_rows(tx, [message_id]))[message_id]
    if known.internal_date != int(date.timestamp()):
        await messages.set_dates(tx, {message_id: date}, is_final=True)


def are_void(row: MailboxRow, intent: IntentRow) -> bool:
    """Whether the UIDs that the record names are those of another UIDVALIDITY than the mailbox has now."""
    return intent.payload.get("uidvalidity", row.uidvalidity) != row.uidvalidity


def number(intent: IntentRow, key: str) -> int:
    """Return what the record says under `key`: mailbox, uidnext, size or newest."""
    value = intent.payload[key]
    assert isinstance(value, int)
    return value


async def portrayed(content: MessageContent) -> Likeness:
    """Return what the message is known again by."""
    portrait, is_first = Portrait(), True
    async for chunk in content.chunks():
        if not is_first:
            await asyncio.sleep(0)
        portrait.feed(chunk)
        is_first = False
    return portrait.finish()


async def all_portrayed(contents: Iterable[MessageContent]) -> list[Likeness]:
    """Return what each of the messages is known again by; others have their turn in between."""
    likenesses: list[Likeness] = []
    octets = 0
    for content in contents:
        octets += content.size
        if octets > TURN_OCTETS:
            octets = content.size
            await asyncio.sleep(0)
        likenesses.append(await portrayed(content))
    return likenesses
