"""APPEND: exactly once in effect, whatever happens to the connection or to this process.

Before the backend is asked, an intent with the message's likeness is recorded. If the outcome stays unknown, the
mailbox is read again and the message is looked for among what is new (see `gateway.sync.append_settling`); it is never
sent a second time on suspicion. A client that repeats an APPEND whose answer it did not get is given the message that
is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from connectors.api import errors
from connectors.api.abilities import BatchAppend, NewMessage, PreparedAppend
from connectors.api.types import MessageRef, MessageState
from gateway.message.likeness import Likeness
from gateway.store import intents
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxRow
from gateway.sync.append_intents import STORED, AppendIntents, Upload, all_portrayed, keep_date, portrayed, was_there
from gateway.sync.append_settling import AppendSettler, LikenessOf, Resync
from gateway.sync.appended import AppendedOctets
from gateway.sync.apply import place_made
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.reconcile import respelled
from gateway.sync.spread import spread_made


@dataclass(slots=True)
class AppendGroup:
    """Messages that are stored all or none: intents that are done are kept until all are.

    If the process dies before, a client that repeats the command is given the messages that are there already. `made`
    are the UIDs of what the command has brought, `kept` those of what was there before it: a backend may have each
    message only once. `begun` are the intents of what the backend is just being asked to store.
    """

    done: list[IntentRow] = field(default_factory=list)
    begun: list[IntentRow] = field(default_factory=list)
    made: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)


class Appender:
    """Appends to the mailboxes of one account and settles what was left open."""

    def __init__(self, context: AccountContext, resync: Resync, likeness_of: LikenessOf) -> None:
        self._context = context
        self._appended = AppendedOctets(context)
        self._record = AppendIntents(context, self._appended)
        self._settler = AppendSettler(context, self._record, self._appended, resync, likeness_of)

    async def append(self, row: MailboxRow, upload: Upload, group: AppendGroup | None = None) -> int:
        """Store a message at the backend and return its UID; `group` is set if it is one of several.

        Raises:
            ConnectorError: it is not stored; for `OutcomeUnknown` that could not be found out.
        """
        context, flags = self._context, upload.flags
        likeness = await portrayed(upload.content)
        async with context.write_lock(row.id):
            uid = await self._settler.answered_before(row, likeness.digest, () if group is None else group.done)
            uid = uid if uid is not None else await self._settler.arrived_since(row, likeness.digest)
            if uid is not None:
                await self._settler.keep_flags(row, uid, flags)
                return uid
            await context.account.open()
            recorded: list[IntentRow] = []
            if group is not None:
                group.begun = recorded
            with context.guard.receiving() as since:
                try:
                    (state,) = await self._ask(row, [likeness], [upload], recorded)
                except errors.OutcomeUnknown as error:
                    await context.failed(row, error)
                    uid = await self._settler.settle(row, recorded[0])
                    if uid is None:
                        self._settler.expect(recorded[0])
                        raise errors.Unavailable(error.operator_text) from error
                    await self._settler.keep_flags(row, uid, flags)
                    return uid
                except errors.ConnectorError as error:
                    await context.failed(row, error)
                    await self._record.forget(*recorded)
                    raise
                context.guard.made([context.key_of(row)(state.ref)])
                uids: list[int] = []
                await self._commit(row, [state], [upload], recorded, group, uids, since)
                return uids[0]

    async def append_together(
        self, row: MailboxRow, uploads: Sequence[Upload], group: AppendGroup, uids: list[int], *, is_whole: bool
    ) -> bool:
        """Store messages in one request and one commit; False if they can only be appended one by one.

        `is_whole`: they are all of the group.
        `uids` takes their UIDs in order; if this raises, those of what is stored all the same and has to go again.

        Raises:
            ConnectorError: not all are stored.
        """
        context, connector = self._context, self._context.account.connector
        if not isinstance(connector, BatchAppend) or self._appended.are_kept:
            return False
        likenesses = await all_portrayed(upload.content for upload in uploads)
        digests = {likeness.digest for likeness in likenesses}
        async with context.write_lock(row.id):
            # Of equal ones nobody could tell which has arrived, and a part may be there from an earlier attempt.
            if len(digests) < len(uploads) or await self._settler.may_be_there(row, digests):
                return False
            await context.account.open()
            if len(uploads) > context.account.capabilities.batch_limit:
                return False
            recorded: list[IntentRow] = []
            if group is not None:
                group.begun = recorded
            with context.guard.receiving() as since:
                try:
                    states = await self._ask(row, likenesses, uploads, recorded)
                except errors.OutcomeUnknown as error:
                    await context.failed(row, error)
                    await self._settler.settle_together(row, recorded, uids, error)
                    for uid, upload in zip(uids, uploads, strict=True):
                        await self._settler.keep_flags(row, uid, upload.flags)
                    return True
                except errors.ConnectorError as error:
                    await self._record.forget(*recorded)
                    if isinstance(error, errors.Unsupported):
                        return False
                    await context.failed(row, error)
                    raise
                context.guard.made([context.key_of(row)(state.ref) for state in states])
                await self._commit(row, states, uploads, recorded, group, uids, since, is_whole=is_whole)
        return True

    async def _ask(
        self, row: MailboxRow, likenesses: Sequence[Likeness], uploads: Sequence[Upload], recorded: list[IntentRow]
    ) -> Sequence[MessageState]:
        """Have the backend store messages, having put that on record; `recorded` takes the intents.

        A backend that can do so takes the messages over while the record is written, and waits for that.

        Raises:
            ConnectorError: they are not stored, or the outcome is unknown.
            StoreError: they are not stored, as that cannot be put on record.
        """
        connector, policy = self._context.account.connector, policy_of(row)
        asked = [NewMessage(upload.content, policy.split(upload.flags), upload.internal_date) for upload in uploads]
        noted = list(zip(likenesses, uploads, strict=True))
        if isinstance(connector, PreparedAppend) and not self._appended.are_kept:
            recording = self._record.begin(row, noted)
            leave: Future[None] = Future()
            recording.add_done_callback(lambda done: _pass_on(done, leave))
            try:
                return await connector.append_by_leave(ref_of(row), asked, leave)
            finally:
                if not leave.done():
                    leave.set_exception(errors.Unavailable("the append was given up"))
                recorded += await asyncio.shield(recording)
        recorded += await self._record.record(row, noted)
        if isinstance(connector, BatchAppend) and len(asked) > 1:
            return await connector.append_many(ref_of(row), asked)
        (message,) = asked
        await self._appended.keep(recorded[0], message.content)
        return [await connector.append(ref_of(row), message.content, message.flags, message.internal_date)]

    async def settle_begun(self, row: MailboxRow, group: AppendGroup) -> list[int]:
        """Find out what became of a group's messages that nobody waited for to the end; return the UIDs of those there.

        Raises:
            OutcomeUnknown: the backend cannot be asked now.
        """
        async with self._context.write_lock(row.id):
            begun, group.begun = list(group.begun), []
            uids = [await self._settler.settle(row, intent) for intent in begun]
        return [uid for uid in uids if uid is not None]

    async def forget_group(self, group: AppendGroup) -> None:
        """Forget what was kept of a group, once it is stored as a whole or undone."""
        done = list(group.done)
        group.done.clear()
        if done:
            await self._record.forget(*done)

    async def _commit(
        self,
        row: MailboxRow,
        states: Sequence[MessageState],
        uploads: Sequence[Upload],
        recorded: Sequence[IntentRow],
        group: AppendGroup | None,
        uids: list[int],
        since: int,
        *,
        is_whole: bool = False,
    ) -> None:
        """Record messages that the backend has; `uids` takes their UIDs in order. `since` see `place_made`.

        Those of a group stay on record, unless `is_whole` says that they are all of it, and all can be placed now.
        """
        context, policy = self._context, policy_of(row)
        local: dict[MessageRef, FlagSet] = {}
        spelled: list[MessageState] = []
        for state, upload in zip(states, uploads, strict=True):
            flags = None if state.flags is None else respelled(state.flags, upload.flags)
            spelled.append(replace(state, flags=flags))
            local[state.ref] = FlagSet.of(flag for flag in upload.flags if not policy.is_storable(flag))

        def is_settled(count: int) -> bool:
            return group is None or (is_whole and count == len(recorded))

        async def body(tx: Transaction) -> tuple[list[int | None], set[int], set[int]]:
            placed, touched = await place_made(tx, context, row, spelled, local, since=since), {row.id}
            old: set[int] = set()
            known: list[int | None] = []
            stored: dict[int, int] = {}
            for state, intent in zip(states, recorded, strict=True):
                uid = placed.get(state.ref)
                if uid is not None:
                    uid, more = await self._appended.bind(tx, row, uid, intent)
                    touched |= more
                    await keep_date(tx, row, uid, intent)
                    stored[intent.id] = uid
                    if group is not None and await was_there(tx, row, uid, intent):
                        old.add(uid)
                known.append(uid)
            touched |= await spread_made(tx, context, row, spelled, since)
            if is_settled(len(stored)):
                await intents.settle(tx, *stored)
            else:
                for intent_id, uid in stored.items():
                    await intents.set_state(tx, intent_id, f"{STORED}{uid}")
            return known, touched, old

        known, touched, old = await context.store.write(body)
        context.changed(*touched)
        if group is not None:
            group.kept |= old - group.made
            group.made |= {uid for uid in known if uid is not None} - group.kept
        uids += [uid for uid in known if uid is not None]
        placed = [(intent, uid) for uid, intent in zip(known, recorded, strict=True) if uid is not None]
        if group is not None:
            group.begun = []
        if group is None or is_settled(len(placed)):
            await self._record.forgotten(intent for intent, _ in placed)
        else:
            group.done += [await self._record.noted(intent, uid) for intent, uid in placed]
        for position, (state, intent, upload) in enumerate(zip(states, recorded, uploads, strict=True)):
            if known[position] is None:
                known[position] = uid = await self._settler.read_uid(row, state.ref, intent)
                uids[:] = [uid for uid in known if uid is not None]
                await self._settler.keep_flags(row, uid, upload.flags)

    async def settle_all(self, row_of: Callable[[int], Awaitable[MailboxRow | None]]) -> None:
        """Settle what an earlier process, or an earlier connection, left open. Call it while the backend is open."""
        await self._settler.settle_all(row_of)


def _pass_on(recording: asyncio.Task[list[IntentRow]], leave: Future[None]) -> None:
    """Give leave to store once that is on record."""
    if leave.done():
        return
    if recording.cancelled() or recording.exception() is not None:
        leave.set_exception(errors.Unavailable("the append cannot be put on record"))
    else:
        leave.set_result(None)
