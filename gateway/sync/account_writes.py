"""What sessions ask of an account: every write, carried to its end even if the client goes away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from connectors.api import errors
from connectors.api.types import MessageRef, Role
from gateway.store import messages, placements
from gateway.store.database import Transaction
from gateway.store.errors import StoreError
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.sync import tree_writer
from gateway.sync.append_intents import Upload, parts_of
from gateway.sync.appender import Appender, AppendGroup
from gateway.sync.apply import known_by_refs
from gateway.sync.bodies import Bodies
from gateway.sync.context import AccountContext
from gateway.sync.demand import Demand
from gateway.sync.flag_writer import FlagAction, FlagOutcome, store_flags
from gateway.sync.mailbox_reader import MailboxReader
from gateway.sync.mover import ExpungeOutcome, MoveOutcome, copy, expunge
from gateway.sync.reconcile import Known
from gateway.sync.schedule import Urgency

log = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_GRACE_S = 10.0
"""How long a stop waits for writes that the backend has been asked for."""


class AccountWrites:
    """The writing half of an account's engine; what has to be read again afterwards `demand` and `reader` see to.

    Every write asks first whether the store can record it: a backend that has done what nobody is told of would do it
    again when the client repeats the command. All of them raise StoreError if it cannot.
    """

    def __init__(self, context: AccountContext, demand: Demand, reader: MailboxReader) -> None:
        self.context = context
        self.demand = demand
        self.reader = reader
        self.bodies = Bodies(context)
        self.appender = Appender(context, reader.resync, self.bodies.likeness_of)
        self._writes: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    async def _finish_writes(self) -> None:
        """Let writes that were begun come to their end for a while; begin no more."""
        self._is_stopping = True
        if self._writes:
            _, late = await asyncio.wait(tuple(self._writes), timeout=WRITE_GRACE_S)
            for write in late:
                # What the backend did is found by reading at the next start; an APPEND has left its intent.
                write.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _to_the_end(self, write: Coroutine[Any, Any, T]) -> T:
        """Carry out a write even if whoever asked for it goes away: the store must learn what the backend has done."""
        task = self._begin(write)
        try:
            with self.context.lull.writing():
                return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._is_stopping:
                raise errors.OutcomeUnknown("the gateway was stopped during a write") from None
            task.add_done_callback(_log_failure)
            raise

    def _begin(self, write: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    @contextlib.contextmanager
    def _read_if_unrecorded(self, *rows: MailboxRow) -> Iterator[None]:
        """Have mailboxes read if the store does not take the outcome of a write: the backend has perhaps done it."""
        try:
            yield
        except StoreError:
            for row in rows:
                self.demand.request(row.id, Urgency.PUSHED)
            raise

    async def append(self, row: MailboxRow, uploads: Sequence[Upload]) -> list[int]:
        """Append messages, all of them or none, and return their UIDs in order; see `Appender.append`.

        The octets are the caller's, so this write ends with whoever asked for it; what became of it is found out.
        """
        await self.context.store.check_writable()
        group = AppendGroup() if len(uploads) > 1 else None
        uids: list[int] = []
        try:
            with self._read_if_unrecorded(row), self.context.lull.writing():
                for part in parts_of(uploads, self.context.account.capabilities.batch_limit):
                    await self._append_part(row, part, group, uids, is_whole=len(part) == len(uploads))
        except asyncio.CancelledError:
            if not self._is_stopping:
                self._begin(self._give_up(row, uids, group)).add_done_callback(_log_failure)
            raise
        except Exception:
            await self._to_the_end(self._undo(row, uids, group))
            raise
        if group is not None:
            await self.appender.forget_group(group)
        return uids

    async def _append_part(
        self, row: MailboxRow, part: Sequence[Upload], group: AppendGroup | None, uids: list[int], *, is_whole: bool
    ) -> None:
        """Append messages by one request if possible, else one by one; `uids` takes the UIDs of what is there."""
        if group is not None and len(part) > 1:
            stored: list[int] = []
            try:
                fresh = await self.context.fresh(row)
                is_done = await self.appender.append_together(fresh, part, group, stored, is_whole=is_whole)
            finally:
                uids += stored
            if is_done:
                return
        for upload in part:
            uids.append(await self.appender.append(await self.context.fresh(row), upload, group))

    async def _give_up(self, row: MailboxRow, uids: Sequence[int], group: AppendGroup | None) -> None:
        """Find out what became of appends that nobody waits for any more; of several none is to stay."""
        try:
            if group is not None:
                row = await self.context.fresh(row)
                await self._undo(row, [*uids, *await self.appender.settle_begun(row, group)], group)
        finally:
            await self._settle()

    async def _undo(self, row: MailboxRow, uids: Sequence[int], group: AppendGroup | None) -> None:
        """Remove the messages of a group that could not be stored as a whole (RFC 3502 section 3)."""
        if group is None:
            return
        made = [uid for uid in uids if uid not in group.kept]
        if made:
            outcome = await self._expunge(await self.context.fresh(row), made)
            if outcome.failed:
                log.warning("%d messages stay that were appended together with one refused", len(outcome.failed))
        await self.appender.forget_group(group)

    async def store_flags(
        self,
        row: MailboxRow,
        uids: Sequence[int],
        action: FlagAction,
        flags: Sequence[str],
        unchanged_since: int | None = None,
    ) -> FlagOutcome:
        """Change flags; see `flag_writer.store_flags`."""
        await self.context.store.check_writable()
        row = await self.context.fresh(row)
        return await self._to_the_end(self._store_flags(row, uids, action, flags, unchanged_since))

    async def _store_flags(
        self,
        row: MailboxRow,
        uids: Sequence[int],
        action: FlagAction,
        flags: Sequence[str],
        unchanged_since: int | None,
    ) -> FlagOutcome:
        with self._read_if_unrecorded(row):
            outcome = await store_flags(self.context, row, uids, action, flags, unchanged_since)
        if outcome.is_unknown:
            self.demand.request(row.id, Urgency.WAITED_FOR)
        for mailbox_id in outcome.unread:
            self.demand.request(mailbox_id, Urgency.PUSHED)
        self._look_for_mailbox(outcome.error)
        return outcome

    def _look_for_mailbox(self, error: errors.ConnectorError | None) -> None:
        """Have the tree listed if a write has met a mailbox that is gone; of messages it would have said so itself."""
        if isinstance(error, errors.NotFound):
            self.demand.request_tree()

    async def copy(
        self, source: MailboxRow, uids: Sequence[int], destination: MailboxRow, *, is_move: bool
    ) -> MoveOutcome:
        """Copy or move within the account; see `mover.copy`."""
        await self.context.store.check_writable()
        source, destination = await self.context.fresh(source), await self.context.fresh(destination)
        return await self._to_the_end(self._copy(source, uids, destination, is_move=is_move))

    async def _copy(
        self, source: MailboxRow, uids: Sequence[int], destination: MailboxRow, *, is_move: bool
    ) -> MoveOutcome:
        with self._read_if_unrecorded(destination, source):
            outcome = await copy(self.context, source, uids, destination, is_move=is_move)
            if outcome.unplaced:
                await self._find_unplaced(destination, outcome)
        if outcome.is_unknown:
            self.demand.request(destination.id, Urgency.WAITED_FOR)
            self.demand.request(source.id, Urgency.WAITED_FOR)
        if outcome.is_contested:
            self.demand.request(source.id, Urgency.PUSHED)
        self._look_for_mailbox(outcome.error)
        return outcome

    async def _find_unplaced(self, destination: MailboxRow, outcome: MoveOutcome) -> None:
        """Read the destination to learn the UIDs of what arrived there; what cannot be read now is read later."""
        self.demand.request(destination.id, Urgency.WAITED_FOR)
        with contextlib.suppress(errors.ConnectorError):
            await self.reader.resync(destination)
        copies = {one.ref: one for one in outcome.unplaced if one.ref is not None}

        async def body(tx: Transaction) -> dict[MessageRef, Known]:
            known = await known_by_refs(tx, destination.id, copies)
            pairs = [(copies[ref].message_id, copy.message_id) for ref, copy in known.items()]
            await messages.share_object_ids(tx, pairs)
            kept = []
            for ref, placed in known.items():
                flags = FlagSet.of((*placed.flags.names(), *copies[ref].flags.names()))
                kept.append((placed.uid, flags.bits, flags.keywords))
            await placements.set_flags(tx, destination.id, kept)
            return known

        known = await self.context.store.write(body)
        self.context.changed(destination.id)
        outcome.pairs.extend((copies[ref].uid, copy.uid) for ref, copy in known.items())
        outcome.pairs.sort()

    async def expunge(self, row: MailboxRow, uids: Sequence[int], *, only_deleted: bool = False) -> ExpungeOutcome:
        """Remove messages from a mailbox; see `mover.expunge`."""
        await self.context.store.check_writable()
        row = await self.context.fresh(row)
        return await self._to_the_end(self._expunge(row, uids, only_deleted=only_deleted))

    async def _expunge(self, row: MailboxRow, uids: Sequence[int], *, only_deleted: bool = False) -> ExpungeOutcome:
        with self._read_if_unrecorded(row):
            outcome = await expunge(self.context, row, uids, only_deleted=only_deleted)
        if outcome.is_unknown:
            self.demand.request(row.id, Urgency.WAITED_FOR)
        if outcome.is_contested:
            self.demand.request(row.id, Urgency.PUSHED)
        self._look_for_mailbox(outcome.error)
        return outcome

    # -- the mailbox tree ---------------------------------------------------------------------------------------------

    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxRow:
        """Create a mailbox and have it read; see `tree_writer.create_mailbox`."""
        row, is_listed = await self._change_tree(tree_writer.create_mailbox(self.context, path, role))
        self.demand.request(row.id, Urgency.OPEN)
        if not is_listed:
            self.demand.request_tree()
        return row

    async def delete_mailbox(self, row: MailboxRow, *, keeps_name: bool = True) -> None:
        """Delete a mailbox with its messages; see `tree_writer.delete_mailbox`."""
        await self._change_tree(tree_writer.delete_mailbox(self.context, row, keeps_name=keeps_name))

    async def rename_mailbox(self, row: MailboxRow, path: tuple[str, ...]) -> None:
        """Rename a mailbox with its children; see `tree_writer.rename_mailbox`."""
        await self._change_tree(tree_writer.rename_mailbox(self.context, row, path))
        self.demand.request_tree()

    async def subscribe(self, row: MailboxRow, *, is_subscribed: bool) -> None:
        """Subscribe to a mailbox or unsubscribe; see `tree_writer.subscribe`."""
        await self._change_tree(tree_writer.subscribe(self.context, row, is_subscribed=is_subscribed))

    async def unsubscribe_name(self, path: tuple[str, ...]) -> None:
        """Unsubscribe from a name that has no mailbox; see `tree_writer.unsubscribe_name`."""
        await self._change_tree(tree_writer.unsubscribe_name(self.context, path))

    async def _change_tree(self, change: Coroutine[Any, Any, T]) -> T:
        try:
            await self.context.store.check_writable()
        except BaseException:
            change.close()
            raise
        return await self._to_the_end(self._list_if_unsure(change))

    async def _list_if_unsure(self, change: Coroutine[Any, Any, T]) -> T:
        """Change the tree, and have it listed if the backend may have done what the store does not know of."""
        try:
            return await change
        except (errors.Denied, errors.Rejected, errors.Unsupported):
            raise
        except (errors.ConnectorError, StoreError):
            self.demand.request_tree()
            raise

    async def _settle(self) -> None:
        await self.appender.settle_all(self.context.row)


def _log_failure(write: asyncio.Task[Any]) -> None:
    """Report what nobody is there any more to be told of."""
    error = None if write.cancelled() else write.exception()
    if error is not None:
        log.warning("a write whose client has gone failed: %r", error)
