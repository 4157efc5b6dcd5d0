"""APPEND: exactly once in effect, whatever happens to the connection or to this process.

Before the backend is asked, an intent with the message's likeness is recorded. If the outcome stays unknown, the
mailbox is read again and the message is looked for among what is new, also as backends may have altered it on its way
in; it is never sent a second time on suspicion. A client that repeats an APPEND whose answer it did not get is given
the message that is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.api import errors
from connectors.api.abilities import BatchAppend, NewMessage
from connectors.api.types import MessageContent, MessageRef, MessageState
from gateway.message.likeness import Likeness, Portrait
from gateway.store import intents, messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.sync.appended import AppendedOctets
from gateway.sync.apply import known_by_refs, place_made
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.reconcile import respelled

log = logging.getLogger(__name__)

KIND = "append"
STORED = "stored "
"""The state of an intent found done after a restart; the UID follows."""

ANSWER_AGAIN_S = 600
"""How long after a lost answer a repeated APPEND of the same octets is taken for the same one."""

READINGS = 3
"""How often the mailbox is read to find a message, as long as something was left out that may hide it."""

Resync = Callable[[MailboxRow], Awaitable[bool]]
"""Reads the mailbox's changes now; returns whether nothing was left out that has to be read again.

Raises:
    ConnectorError: it could not be read.
"""

LikenessOf = Callable[[MailboxRow, int, MessageRef], Awaitable[Likeness]]
"""Returns what a message is known again by, given its mailbox, message id and ref."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A message to be stored; without a date it is that of the moment."""

    content: MessageContent
    flags: Sequence[str]
    internal_date: datetime | None


@dataclass(slots=True)
class AppendGroup:
    """Messages that are stored all or none: intents that are done are kept until all are.

    If the process dies before, a client that repeats the command is given the messages that are there already.
    """

    done: list[IntentRow] = field(default_factory=list)


class Appender:
    """Appends to the mailboxes of one account and settles what was left open."""

    def __init__(self, context: AccountContext, resync: Resync, likeness_of: LikenessOf) -> None:
        self._context = context
        self._resync = resync
        self._likeness_of = likeness_of
        self._appended = AppendedOctets(context)
        self._unfound: list[IntentRow] = []
        """Those whose answer was lost and that had not arrived when they were looked for. They may arrive yet."""

    async def append(self, row: MailboxRow, upload: Upload, group: AppendGroup | None = None) -> int:
        """Store a message at the backend and return its UID; `group` is set if it is one of several.

        Raises:
            ConnectorError: it is not stored; for `OutcomeUnknown` that could not be found out.
        """
        context, content, flags = self._context, upload.content, upload.flags
        likeness = await _likeness(content)
        async with context.write_lock(row.id):
            uid = await self._answered_before(row, likeness.digest, group)
            uid = uid if uid is not None else await self._arrived_since(row, likeness.digest)
            if uid is not None:
                await self._keep_flags(row, uid, flags)
                return uid
            connector = await context.account.open()
            (intent,) = await self._record(row, [(likeness, upload)])
            policy = policy_of(row)
            with context.guard.receiving():
                try:
                    await self._appended.keep(intent, content)
                    state = await connector.append(ref_of(row), content, policy.split(flags), upload.internal_date)
                except errors.OutcomeUnknown as error:
                    await context.failed(row, error)
                    uid = await self._settle(row, intent)
                    if uid is None:
                        self._unfound += [] if self._appended.are_kept else [intent]
                        raise errors.Unavailable(error.operator_text) from error
                    await self._keep_flags(row, uid, flags)
                    return uid
                except errors.ConnectorError as error:
                    await context.failed(row, error)
                    await self._forget(intent)
                    raise
                context.guard.made([context.key_of(row)(state.ref)])
                uids: list[int] = []
                await self._commit(row, [state], [upload], [intent], group, uids)
                return uids[0]

    async def append_together(
        self, row: MailboxRow, uploads: Sequence[Upload], group: AppendGroup, uids: list[int]
    ) -> bool:
        """Store messages in one request and one commit; False if they can only be appended one by one.

        `uids` takes their UIDs in order; if this raises, those of what is stored all the same and has to go again.

        Raises:
            ConnectorError: not all are stored.
        """
        context, connector = self._context, self._context.account.connector
        if not isinstance(connector, BatchAppend) or self._appended.are_kept:
            return False
        likenesses = [await _likeness(upload.content) for upload in uploads]
        digests = {likeness.digest for likeness in likenesses}
        async with context.write_lock(row.id):
            # Of equal ones nobody could tell which has arrived, and a part may be there from an earlier attempt.
            if len(digests) < len(uploads) or await self._may_be_there(row, digests):
                return False
            await context.account.open()
            if len(uploads) > context.account.capabilities.batch_limit:
                return False
            policy = policy_of(row)
            asked = [NewMessage(upload.content, policy.split(upload.flags), upload.internal_date) for upload in uploads]
            recorded = await self._record(row, list(zip(likenesses, uploads, strict=True)))
            with context.guard.receiving():
                try:
                    states = await connector.append_many(ref_of(row), asked)
                except errors.OutcomeUnknown as error:
                    await context.failed(row, error)
                    await self._settle_together(row, recorded, uids, error)
                    for uid, upload in zip(uids, uploads, strict=True):
                        await self._keep_flags(row, uid, upload.flags)
                    return True
                except errors.ConnectorError as error:
                    await self._forget(*recorded)
                    if isinstance(error, errors.Unsupported):
                        return False
                    await context.failed(row, error)
                    raise
                context.guard.made([context.key_of(row)(state.ref) for state in states])
                await self._commit(row, states, uploads, recorded, group, uids)
        return True

    async def _may_be_there(self, row: MailboxRow, digests: Collection[bytes]) -> bool:
        """Whether an append of one of these messages to the mailbox was begun and never answered."""
        return any(
            intent.content_hash in digests and _number(intent, "mailbox") == row.id
            for intent in (*await self._pending(), *self._unfound)
        )

    async def _settle_together(
        self, row: MailboxRow, recorded: Sequence[IntentRow], uids: list[int], error: errors.OutcomeUnknown
    ) -> None:
        """Find out which of the messages have arrived, into `uids`.

        Raises:
            Unavailable: not all of them have.
            OutcomeUnknown: that cannot be found out now.
        """
        unfound: list[IntentRow] = []
        for intent in recorded:
            uid = await self._settle(row, intent)
            if uid is None:
                unfound.append(intent)
            else:
                uids.append(uid)
        if unfound:
            self._unfound += unfound
            raise errors.Unavailable(error.operator_text) from error

    async def _keep_flags(self, row: MailboxRow, uid: int, flags: Sequence[str]) -> None:
        """Give a message that was found by reading the flags that only we hold, and the others as they were spelled."""
        policy = policy_of(row)
        local = [flag for flag in flags if not policy.is_storable(flag)]

        async def body(tx: Transaction) -> None:
            changes = []
            for _, _, _, bits, keywords, _ in await placements.by_uids(tx, row.id, [uid]):
                kept = FlagSet.of((*respelled(FlagSet(bits, keywords).names(), flags), *local))
                changes.append((uid, kept.bits, kept.keywords))
            await placements.set_flags(tx, row.id, changes)

        await self._context.store.write(body)
        self._context.changed(row.id)

    async def _record(self, row: MailboxRow, uploads: Sequence[tuple[Likeness, Upload]]) -> list[IntentRow]:
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

    async def forget_group(self, group: AppendGroup) -> None:
        """Forget what was kept of a group, once it is stored as a whole or undone."""
        done = list(group.done)
        group.done.clear()
        if done:
            await self._forget(*done)

    async def _commit(
        self,
        row: MailboxRow,
        states: Sequence[MessageState],
        uploads: Sequence[Upload],
        recorded: Sequence[IntentRow],
        group: AppendGroup | None,
        uids: list[int],
    ) -> None:
        """Record messages that the backend has; `uids` takes their UIDs in order."""
        context, policy = self._context, policy_of(row)
        local: dict[MessageRef, FlagSet] = {}
        spelled: list[MessageState] = []
        for state, upload in zip(states, uploads, strict=True):
            flags = None if state.flags is None else respelled(state.flags, upload.flags)
            spelled.append(replace(state, flags=flags))
            local[state.ref] = FlagSet.of(flag for flag in upload.flags if not policy.is_storable(flag))

        async def body(tx: Transaction) -> tuple[list[int | None], set[int]]:
            placed, touched = await place_made(tx, context, row, spelled, local), {row.id}
            known: list[int | None] = []
            for state, intent in zip(states, recorded, strict=True):
                uid = placed.get(state.ref)
                if uid is not None:
                    uid, more = await self._appended.bind(tx, row, uid, intent)
                    touched |= more
                    await _keep_date(tx, row, uid, intent)
                    if group is None:
                        await intents.settle(tx, intent.id)
                    else:
                        await intents.set_state(tx, intent.id, f"{STORED}{uid}")
                known.append(uid)
            return known, touched

        known, touched = await context.store.write(body)
        context.changed(*touched)
        uids += [uid for uid in known if uid is not None]
        placed = [intent for uid, intent in zip(known, recorded, strict=True) if uid is not None]
        if group is not None:
            group.done += placed
        for intent in placed:
            await self._appended.release(intent)
        for position, (state, intent) in enumerate(zip(states, recorded, strict=True)):
            if known[position] is None:
                known[position] = await self._read_uid(row, state.ref, intent)
                uids[:] = [uid for uid in known if uid is not None]

    async def _read_uid(self, row: MailboxRow, ref: MessageRef, intent: IntentRow) -> int:
        """Read the mailbox for the UID of a message that is stored. Failing that, the intent answers a repetition."""
        try:
            await self._resync(row)
        except errors.NotFound:
            # The mailbox is gone, and the message with it.
            await self._forget(intent)
            raise
        except errors.ConnectorError as error:
            raise errors.OutcomeUnknown(f"the message is stored, but its UID unknown: {error.operator_text}") from error
        found = await self._context.store.read(lambda tx: known_by_refs(tx, row.id, [ref]))
        if ref not in found:
            raise errors.OutcomeUnknown(f"the appended message {ref!r} was not found in mailbox {row.id}")
        uid = await self._complete(row, found[ref].uid, intent)
        await self._forget(intent)
        return uid

    # -- settling -----------------------------------------------------------------------------------------------------

    async def settle_all(self, row_of: Callable[[int], Awaitable[MailboxRow | None]]) -> None:
        """Settle what an earlier process, or an earlier connection, left open. Call it while the backend is open."""
        for intent in await self._pending():
            if intent.state.startswith(STORED):
                if not self._is_recent(intent):
                    await self._forget(intent)
                continue
            row = await row_of(_number(intent, "mailbox"))
            if row is None:
                await self._forget(intent)
                continue
            async with self._context.write_lock(row.id):
                uid = await self._settle(row, intent, keeps_answer=True)
            log.info("an append to mailbox %d left open was %s", row.id, "stored" if uid is not None else "not stored")

    async def _pending(self) -> list[IntentRow]:
        account_id = self._context.account_id
        pending = await self._context.store.read(lambda tx: intents.pending(tx, account_id))
        return [intent for intent in pending if intent.kind == KIND]

    async def _complete(self, row: MailboxRow, uid: int, intent: IntentRow) -> int:
        """Give a message that was found by reading what it was appended with; return its UID, perhaps a new one."""

        async def body(tx: Transaction) -> tuple[int, set[int]]:
            bound, touched = await self._appended.bind(tx, row, uid, intent)
            await _keep_date(tx, row, bound, intent)
            return bound, touched

        bound, touched = await self._context.store.write(body)
        self._context.changed(*touched)
        return bound

    async def _forget(self, *settled: IntentRow) -> None:
        async def body(tx: Transaction) -> None:
            for intent in settled:
                await intents.settle(tx, intent.id)

        await self._context.store.write(body)
        for intent in settled:
            await self._appended.release(intent)

    def _is_recent(self, intent: IntentRow) -> bool:
        # Of either sign: an intent from the future is one from before the clock was set right.
        return abs(self._context.clock.now().timestamp() - intent.created) <= ANSWER_AGAIN_S

    async def _answered_before(self, row: MailboxRow, digest: bytes, group: AppendGroup | None) -> int | None:
        """Return the UID of a message whose APPEND was done but never answered, and forget about it."""
        own = set() if group is None else {intent.id for intent in group.done}
        for intent in await self._pending():
            if intent.content_hash != digest or _number(intent, "mailbox") != row.id or intent.id in own:
                continue
            if intent.state.startswith(STORED):
                uid: int | None = int(intent.state.removeprefix(STORED))
                await self._forget(intent)
            else:
                uid = await self._settle(row, intent)
            if uid is not None and self._is_recent(intent) and await self._holds(row, uid):
                return uid
        return None

    async def _arrived_since(self, row: MailboxRow, digest: bytes) -> int | None:
        """Return the UID of a message that was not there when it was looked for, and has arrived since.

        Raises:
            OutcomeUnknown: the backend cannot be asked now.
        """
        self._unfound = [intent for intent in self._unfound if self._is_recent(intent)]
        for intent in list(self._unfound):
            if intent.content_hash == digest and _number(intent, "mailbox") == row.id:
                uid = await self._settle(row, intent)
                self._unfound.remove(intent)
                if uid is not None:
                    return uid
        return None

    async def _holds(self, row: MailboxRow, uid: int) -> bool:
        return bool(await self._context.store.read(lambda tx: placements.by_uids(tx, row.id, [uid])))

    async def _settle(self, row: MailboxRow, intent: IntentRow, *, keeps_answer: bool = False) -> int | None:
        """Find out whether the message arrived; return its UID if so. The intent stays open if that cannot be seen.

        Raises:
            OutcomeUnknown: the backend cannot be asked now, what it has cannot all be read, or the mailbox has gone.
        """
        try:
            await self._context.account.open()
            uid = await self._look(row, intent)
        except errors.ConnectorError as error:
            raise errors.OutcomeUnknown(error.operator_text) from error
        if uid is not None:
            uid = await self._complete(row, uid, intent)
        if uid is not None and keeps_answer:
            await self._context.store.write(lambda tx: intents.set_state(tx, intent.id, f"{STORED}{uid}"))
        else:
            await self._forget(intent)
        return uid

    async def _look(self, row: MailboxRow, intent: IntentRow) -> int | None:
        """Read the mailbox and look for the message; None if it is certainly not there.

        A reading stops short of what is being written just now, and a message that came later is not seen by it.

        Raises:
            ConnectorError: whether it is there cannot be told now.
        """
        find = self._appended.find if self._appended.are_kept else self._find
        for _ in range(READINGS):
            is_whole = await self._resync(row)
            uid = await find(row, intent)
            if uid is not None:
                return uid
            if is_whole:
                # In a mailbox that has gone meanwhile nothing is found, whatever became of its messages.
                await self._context.fresh(row)
                return None
            await self._context.guard.written()
        raise errors.Unavailable(f"mailbox {row.id} is written to all the time and cannot be read")

    async def _find(self, row: MailboxRow, intent: IntentRow) -> int | None:
        """Look for the message among those that came since; sizes first, so that few have to be read.

        The very octets are preferred to what a backend may have made of them.
        """
        assert intent.content_hash is not None, "an append has octets"
        wanted = Likeness.decode(intent.content_hash, intent.payload.get("likeness"))
        sizes, after_uid = wanted.possible_sizes(_number(intent, "size")), _number(intent, "uidnext") - 1
        altered: int | None = None
        while candidates := await self._after(row, after_uid):
            refs = await self._refs(candidates)
            for uid, message_id, *_, known_size, is_exact, _saved, _hydration in candidates:
                if known_size is not None and is_exact and known_size not in sizes:
                    continue
                found = await self._likeness_of(row, message_id, MessageRef(refs[message_id]))
                if found.digest == wanted.digest:
                    return uid
                if altered is None and wanted.became(found):
                    altered = uid
            after_uid = candidates[-1][0]
        return altered

    async def _after(self, row: MailboxRow, uid: int) -> list[PlacementRow]:
        return await self._context.store.read_bulk(lambda tx: placements.load_range(tx, row.id, uid, 256))

    async def _refs(self, candidates: Sequence[PlacementRow]) -> dict[int, str]:
        ids = [candidate[1] for candidate in candidates]
        return await self._context.store.read_bulk(lambda tx: messages.refs_by_ids(tx, ids))


async def _keep_date(tx: Transaction, row: MailboxRow, uid: int, intent: IntentRow) -> None:
    """Let an appended message have the date that was asked for, where the backend holds another or has told none.

    Not so if the message was known before: a backend may answer with one that it had already, whose date clients know.
    """
    asked = intent.payload.get("date")
    placed = await placements.by_uids(tx, row.id, [uid])
    if not isinstance(asked, str) or not placed or placed[0][1] <= _number(intent, "newest"):
        return
    message_id, date = placed[0][1], datetime.fromisoformat(asked)
    known = (await messages.message_rows(tx, [message_id]))[message_id]
    if known.internal_date != int(date.timestamp()):
        await messages.set_dates(tx, {message_id: date}, is_final=True)


def _number(intent: IntentRow, key: str) -> int:
    value = intent.payload[key]
    assert isinstance(value, int)
    return value


async def _likeness(content: MessageContent) -> Likeness:
    portrait = Portrait()
    async for chunk in content.chunks():
        portrait.feed(chunk)
        await asyncio.sleep(0)
    return portrait.finish()
