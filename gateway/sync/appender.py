"""APPEND: exactly once in effect, whatever happens to the connection or to this process.

Before the backend is asked, an intent with the message's likeness is recorded. If the outcome stays unknown, the
mailbox is read again and the message is looked for among what is new (see `gateway.sync.append_settling`); it is never
sent a second time on suspicion. A client that repeats an APPEND whose answer it did not get is given the message that
is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from connectors.api import errors
from connectors.api.abilities import BatchAppend, NewMessage
from connectors.api.types import MessageRef, MessageState
from gateway.store import intents
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxRow
from gateway.sync.append_intents import STORED, AppendIntents, Upload, keep_date, portrayed
from gateway.sync.append_settling import AppendSettler, LikenessOf, Resync
from gateway.sync.appended import AppendedOctets
from gateway.sync.apply import place_made
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.reconcile import respelled


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
        self._appended = AppendedOctets(context)
        self._record = AppendIntents(context, self._appended)
        self._settler = AppendSettler(context, self._record, self._appended, resync, likeness_of)

    async def append(self, row: MailboxRow, upload: Upload, group: AppendGroup | None = None) -> int:
        """Store a message at the backend and return its UID; `group` is set if it is one of several.

        Raises:
            ConnectorError: it is not stored; for `OutcomeUnknown` that could not be found out.
        """
        context, content, flags = self._context, upload.content, upload.flags
        likeness = await portrayed(content)
        async with context.write_lock(row.id):
            uid = await self._settler.answered_before(row, likeness.digest, () if group is None else group.done)
            uid = uid if uid is not None else await self._settler.arrived_since(row, likeness.digest)
            if uid is not None:
                await self._settler.keep_flags(row, uid, flags)
                return uid
            connector = await context.account.open()
            (intent,) = await self._record.record(row, [(likeness, upload)])
            policy = policy_of(row)
            with context.guard.receiving():
                try:
                    await self._appended.keep(intent, content)
                    state = await connector.append(ref_of(row), content, policy.split(flags), upload.internal_date)
                except errors.OutcomeUnknown as error:
                    await context.failed(row, error)
                    uid = await self._settler.settle(row, intent)
                    if uid is None:
                        self._settler.expect(intent)
                        raise errors.Unavailable(error.operator_text) from error
                    await self._settler.keep_flags(row, uid, flags)
                    return uid
                except errors.ConnectorError as error:
                    await context.failed(row, error)
                    await self._record.forget(intent)
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
        likenesses = [await portrayed(upload.content) for upload in uploads]
        digests = {likeness.digest for likeness in likenesses}
        async with context.write_lock(row.id):
            # Of equal ones nobody could tell which has arrived, and a part may be there from an earlier attempt.
            if len(digests) < len(uploads) or await self._settler.may_be_there(row, digests):
                return False
            await context.account.open()
            if len(uploads) > context.account.capabilities.batch_limit:
                return False
            policy = policy_of(row)
            asked = [NewMessage(upload.content, policy.split(upload.flags), upload.internal_date) for upload in uploads]
            recorded = await self._record.record(row, list(zip(likenesses, uploads, strict=True)))
            with context.guard.receiving():
                try:
                    states = await connector.append_many(ref_of(row), asked)
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
                await self._commit(row, states, uploads, recorded, group, uids)
        return True

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
                    await keep_date(tx, row, uid, intent)
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
                known[position] = await self._settler.read_uid(row, state.ref, intent)
                uids[:] = [uid for uid in known if uid is not None]

    async def settle_all(self, row_of: Callable[[int], Awaitable[MailboxRow | None]]) -> None:
        """Settle what an earlier process, or an earlier connection, left open. Call it while the backend is open."""
        await self._settler.settle_all(row_of)
