"""Finding out what became of appends whose outcome is not known: after a lost answer, a crash, or a client's going.

The mailbox is read and the message looked for among what is new, also as backends may have altered it on its way in.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

from connectors.api import errors
from connectors.api.types import MessageRef
from gateway.message.likeness import Likeness
from gateway.store import messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.sync.append_intents import STORED, AppendIntents, are_void, keep_date, number
from gateway.sync.appended import AppendedOctets
from gateway.sync.apply import known_by_refs
from gateway.sync.context import AccountContext, policy_of
from gateway.sync.reconcile import respelled

log = logging.getLogger(__name__)

READINGS = 3
"""How often the mailbox is read to find a message, as long as something was left out that may hide it."""

Resync = Callable[[MailboxRow], Awaitable[bool]]
"""Reads the mailbox's changes now; returns whether nothing was left out that has to be read again.

Raises:
    ConnectorError: it could not be read.
"""

LikenessOf = Callable[[MailboxRow, int, MessageRef], Awaitable[Likeness]]
"""Returns what a message is known again by, given its mailbox, message id and ref."""


class AppendSettler:
    """Settles the appends of one account that were left open."""

    def __init__(
        self,
        context: AccountContext,
        record: AppendIntents,
        appended: AppendedOctets,
        resync: Resync,
        likeness_of: LikenessOf,
    ) -> None:
        self._context = context
        self._record = record
        self._appended = appended
        self._resync = resync
        self._likeness_of = likeness_of
        self._unfound: list[IntentRow] = []
        """Those whose answer was lost and that had not arrived when they were looked for. They may arrive yet."""

    async def settle_all(self, row_of: Callable[[int], Awaitable[MailboxRow | None]]) -> None:
        """Settle what an earlier process, or an earlier connection, left open. Call it while the backend is open."""
        for intent in await self._record.pending():
            if intent.state.startswith(STORED):
                if not self._record.is_recent(intent):
                    await self._record.forget(intent)
                continue
            row = await row_of(number(intent, "mailbox"))
            if row is None:
                await self._record.forget(intent)
                continue
            async with self._context.write_lock(row.id):
                uid = await self.settle(row, intent, keeps_answer=True)
            log.info("an append to mailbox %d left open was %s", row.id, "stored" if uid is not None else "not stored")

    async def may_be_there(self, row: MailboxRow, digests: Collection[bytes]) -> bool:
        """Whether an append of one of these messages to the mailbox was begun and never answered."""
        return any(
            intent.content_hash in digests and number(intent, "mailbox") == row.id
            for intent in (*await self._record.pending(row.id), *self._unfound)
        )

    async def answered_before(self, row: MailboxRow, digest: bytes, done: Collection[IntentRow]) -> int | None:
        """Return the UID of a message whose APPEND was done but never answered, and forget about it.

        Those that are `done` belong to the command itself.
        """
        own = {intent.id for intent in done}
        for intent in await self._record.pending(row.id):
            if intent.content_hash != digest or intent.id in own:
                continue
            if intent.state.startswith(STORED) and not are_void(row, intent):
                uid: int | None = int(intent.state.removeprefix(STORED))
                await self._record.forget(intent)
            else:
                uid = await self.settle(row, intent)
            if uid is not None and self._record.is_recent(intent) and await self._holds(row, uid):
                return uid
        return None

    async def arrived_since(self, row: MailboxRow, digest: bytes) -> int | None:
        """Return the UID of a message that was not there when it was looked for, and has arrived since.

        Raises:
            OutcomeUnknown: the backend cannot be asked now.
        """
        self._unfound = [intent for intent in self._unfound if self._record.is_recent(intent)]
        for intent in list(self._unfound):
            if intent.content_hash == digest and number(intent, "mailbox") == row.id:
                uid = await self.settle(row, intent)
                self._unfound.remove(intent)
                if uid is not None:
                    return uid
        return None

    async def settle(self, row: MailboxRow, intent: IntentRow, *, keeps_answer: bool = False) -> int | None:
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
            await self._record.answered(intent, uid)
        else:
            await self._record.forget(intent)
        return uid

    def expect(self, intent: IntentRow) -> None:
        """Take note of an append that had not arrived when it was looked for, and may arrive yet."""
        self._unfound += [] if self._appended.are_kept else [intent]

    async def settle_together(
        self, row: MailboxRow, recorded: Sequence[IntentRow], uids: list[int], error: errors.OutcomeUnknown
    ) -> None:
        """Find out which of the messages have arrived, into `uids`.

        Raises:
            Unavailable: not all of them have.
            OutcomeUnknown: that cannot be found out now.
        """
        unfound: list[IntentRow] = []
        for intent in recorded:
            uid = await self.settle(row, intent)
            if uid is None:
                unfound.append(intent)
            else:
                uids.append(uid)
        if unfound:
            self._unfound += unfound
            raise errors.Unavailable(error.operator_text) from error

    async def keep_flags(self, row: MailboxRow, uid: int, flags: Sequence[str]) -> None:
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

    async def read_uid(self, row: MailboxRow, ref: MessageRef, intent: IntentRow) -> int:
        """Read the mailbox for the UID of a message that is stored. Failing that, the intent answers a repetition."""
        try:
            await self._resync(row)
        except errors.NotFound:
            # The mailbox is gone, and the message with it.
            await self._record.forget(intent)
            raise
        except errors.ConnectorError as error:
            raise errors.OutcomeUnknown(f"the message is stored, but its UID unknown: {error.operator_text}") from error
        found = await self._context.store.read(lambda tx: known_by_refs(tx, row.id, [ref]))
        if ref not in found:
            raise errors.OutcomeUnknown(f"the appended message {ref!r} was not found in mailbox {row.id}")
        uid = await self._complete(row, found[ref].uid, intent)
        await self._record.forget(intent)
        return uid

    async def _complete(self, row: MailboxRow, uid: int, intent: IntentRow) -> int:
        """Give a message that was found by reading what it was appended with; return its UID, perhaps a new one."""

        async def body(tx: Transaction) -> tuple[int, set[int]]:
            bound, touched = await self._appended.bind(tx, row, uid, intent)
            await keep_date(tx, row, bound, intent)
            return bound, touched

        bound, touched = await self._context.store.write(body)
        self._context.changed(*touched)
        return bound

    async def _holds(self, row: MailboxRow, uid: int) -> bool:
        return bool(await self._context.store.read(lambda tx: placements.by_uids(tx, row.id, [uid])))

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
        sizes = wanted.possible_sizes(number(intent, "size"))
        after_uid = 0 if are_void(row, intent) else number(intent, "uidnext") - 1
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
