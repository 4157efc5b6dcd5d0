"""Reading an account's mailboxes, each by itself or all by the account's changes, and what follows from a reading."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

from connectors.api import errors
from connectors.api.abilities import Push
from connectors.api.capabilities import Scope
from connectors.api.types import MailboxRef
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import EXPIRY_PAUSE_S, MAX_EXPIRIES, AccountSync, first_of
from gateway.sync.context import AccountContext
from gateway.sync.demand import Demand
from gateway.sync.known_tree import KnownTree
from gateway.sync.mailbox_sync import SyncOutcome, list_mailbox, read_changes
from gateway.sync.progress import WATCH_TRUST_S, MailboxProgress
from gateway.sync.schedule import Urgency

log = logging.getLogger(__name__)


class MailboxReader:
    """Reads mailboxes and their tree, keeps `progress` of each by its id, and has read again what was left over."""

    def __init__(self, context: AccountContext, demand: Demand) -> None:
        self.tree = KnownTree(context)
        self.progress: defaultdict[int, MailboxProgress] = defaultdict(MailboxProgress)
        self._context = context
        self._demand = demand
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._account = AccountSync(context, self.list_tree)
        self._account_synced_at: float | None = None

    # -- what is known ------------------------------------------------------------------------------------------------

    def age_s(self, mailbox_id: int) -> float | None:
        """Return how long ago the mailbox was last read by this process, in seconds."""
        synced_at = self._account_synced_at if self.has_account_cursor else self.progress[mailbox_id].synced_at
        return None if synced_at is None else self._context.clock.monotonic() - synced_at

    def is_told_of(self, row: MailboxRow) -> bool:
        """Whether the backend tells by itself what happens in the mailbox, and all that it has told is read."""
        progress, age_s, account = self.progress[row.id], self.age_s(row.id), self._context.account
        is_known = age_s is not None and age_s <= WATCH_TRUST_S and progress.error is None and account.is_open
        is_due = self._demand.is_for(row.id)
        is_at_rest = is_known and not is_due and progress.is_at_rest and self.tree.progress.is_at_rest
        return is_at_rest and isinstance(account.connector, Push) and account.connector.is_watching(MailboxRef(row.ref))

    @property
    def has_account_cursor(self) -> bool:
        """Whether one reading of the account's changes serves all its mailboxes."""
        return self._context.account.capabilities.cursor_scope is Scope.ACCOUNT

    @property
    def has_told_tree(self) -> bool:
        """Whether the account's changes tell of the tree too."""
        return self.has_account_cursor and self._context.account.capabilities.reports_tree

    def failed(self, error: errors.ConnectorError) -> None:
        """Take note that the backend is out of reach; whoever waits for a reading learns so."""
        self.tree.failed(error)
        for progress in self.progress.values():
            progress.fail(error)

    # -- the tree -----------------------------------------------------------------------------------------------------

    async def list_tree(self) -> list[MailboxRow]:
        """List the tree, let go of mailboxes that are gone, and return those that are there."""
        self._demand.tree_begun()
        rows = await self.tree.refresh()
        for mailbox_id in self.progress.keys() - {row.id for row in rows}:
            self.forget(mailbox_id)
        return rows

    async def read_tree(self) -> None:
        """List the tree, and have read what that alone does not tell."""
        rows = await self.list_tree()
        selectable = [row for row in rows if row.is_selectable]
        if self.has_account_cursor:
            # One reading of the changes serves all; only what was never listed needs its own turn.
            first = first_of(rows)
            selectable = [row for row in selectable if row is first or self._demand.is_to_be_listed(row)]
        self._demand.request_due(selectable)

    async def _list_anew(self) -> None:
        """List the tree to see whether the backend answers. What it says is used: it may not tell of it again."""
        known = {row.id for row in await self._context.rows()}
        rows = await self.list_tree()
        self._demand.request_due(row for row in rows if row.is_selectable and row.id not in known)

    def forget(self, mailbox_id: int) -> None:
        """Let go of what is kept of a mailbox that is gone; whoever waits for it learns so."""
        self._demand.forget(mailbox_id)
        progress = self.progress.pop(mailbox_id, None)
        if progress is not None:
            progress.error = errors.NotFound(f"mailbox {mailbox_id}")
            progress.end(progress.begin())
        for locks in (self._locks, self._context.write_locks):
            if mailbox_id in locks and not locks[mailbox_id].locked():
                del locks[mailbox_id]
        self._context.current.discard(mailbox_id)

    # -- one mailbox --------------------------------------------------------------------------------------------------

    async def read(self, row: MailboxRow) -> bool:
        """Read one mailbox in its turn; return whether it was read. An error that is only its own is set aside.

        Raises:
            ConnectorError: the backend is out of reach.
        """
        progress = self.progress[row.id]
        number = progress.begin()
        try:
            outcome = await self._sync_mailbox(row, number)
        except errors.NotFound as error:
            progress.error = errors.NotFound(f"mailbox {row.id}")
            self._missed(row, progress, error)
        except (errors.Denied, errors.Rejected, errors.Unsupported, errors.TooLarge) as error:
            log.warning("account %s: mailbox %s: %s", self._context.account.name, row.ref, error.operator_text)
            progress.error = error
        except errors.Unavailable as error:
            # One mailbox that cannot be read must not keep all the others from being read: does the rest answer?
            await self._list_anew()
            log.warning("account %s: mailbox %s: %s", self._context.account.name, row.ref, error.operator_text)
            # A later reading may have ended meanwhile, perhaps well.
            if progress.ended < number:
                progress.error = error
                self._demand.retries.later(row.id, progress.backoff.failed())
        else:
            progress.error, progress.is_missing = None, False
            progress.backoff.succeeded()
            progress.synced_at = self._context.clock.monotonic()
            self._follow_up(row, outcome)
        progress.end(number)
        return progress.error is None

    def _missed(self, row: MailboxRow, progress: MailboxProgress, error: errors.NotFound) -> None:
        """See whether a mailbox that is not found is gone; one that is listed all the same is tried again later."""
        if not progress.is_missing:
            progress.is_missing = True
            self._demand.request_tree()
            return
        # To list again would only have it read again, without end.
        log.warning("account %s: mailbox %s: %s", self._context.account.name, row.ref, error.operator_text)
        self._demand.retries.later(row.id, progress.backoff.failed())

    async def resync(self, row: MailboxRow) -> bool:
        """Read the mailbox's changes now; return whether nothing was left over that has to be read again.

        Raises:
            ConnectorError: it could not be read.
        """
        return self._follow_up(row, await self._sync_mailbox(row))

    def _follow_up(self, row: MailboxRow, outcome: SyncOutcome) -> bool:
        """Take note of a reading, and have read what it left over; return whether that was nothing."""
        self._context.current.add(row.id)
        if outcome.tree_changed:
            self._demand.request_tree()
        if not outcome.is_settled:
            self._context.guard.when_written(lambda: self._demand.request(row.id, Urgency.PUSHED))
        return outcome.is_settled

    async def _sync_mailbox(self, row: MailboxRow, number: int | None = None) -> SyncOutcome:
        """Read the mailbox. As its reading `number` it need not be, if one that began later has ended already."""
        async with self._locks[row.id]:
            fresh = await self._context.row(row.id)
            if fresh is None:
                raise errors.NotFound(f"mailbox {row.id}")
            if self.has_account_cursor:
                return await self._sync_account(fresh, number)
            if not fresh.is_listed:
                outcome = await list_mailbox(self._context, fresh)
                if not outcome.is_settled:
                    return outcome
                fresh = await self._context.row(row.id) or fresh
            try:
                outcome = await read_changes(self._context, fresh)
            except errors.CursorExpired as error:
                self._expired(row.id, error)
                # The UIDs may have been voided, which only the tree tells.
                await self.read_tree()
                fresh = await self._context.row(row.id)
                if fresh is None:
                    raise errors.NotFound(f"mailbox {row.id}") from None
                return await list_mailbox(self._context, fresh)
            self.progress[row.id].expiries = 0
            return outcome

    def _expired(self, mailbox_id: int, error: errors.CursorExpired) -> None:
        """Count a cursor that was too old.

        Raises:
            Unavailable: one just given was, again and again; to list at once would go on without end.
        """
        progress, now = self.progress[mailbox_id], self._context.clock.monotonic()
        if progress.expiries >= MAX_EXPIRIES:
            if now - progress.expired_at < EXPIRY_PAUSE_S:
                raise errors.Unavailable(f"cursors just given are too old: {error.operator_text}") from error
            progress.expiries = 0
        progress.expiries += 1
        progress.expired_at = now

    # -- all mailboxes at once ----------------------------------------------------------------------------------------

    async def _sync_account(self, row: MailboxRow, number: int | None) -> SyncOutcome:
        """With one cursor for the account one reading serves all its mailboxes but those never listed."""
        async with self._account.lock:
            if number is not None and self.progress[row.id].ended >= number:
                return SyncOutcome()
            numbers = {mailbox_id: progress.begin() for mailbox_id, progress in self.progress.items()}
            tree_number = self.tree.progress.begin() if self.has_told_tree else 0
            waiting = self._demand.take_all()
            listed: set[int] = set()
            try:
                outcome = await self._account.read(row)
                listed = await self._read_together(numbers)
                if self.has_told_tree:
                    self.tree.progress.synced_at = self._account_synced_at
                    self.tree.progress.end(tree_number)
            finally:
                for mailbox_id, urgency in waiting.items():
                    if mailbox_id not in listed:
                        self._demand.request(mailbox_id, urgency)
            return outcome

    async def _read_together(self, numbers: Mapping[int, int]) -> set[int]:
        """Take note that a reading of the account has ended, given its number by mailbox; return what it served."""
        self._account_synced_at = self._context.clock.monotonic()
        rows = await self._context.rows()
        listed = {row.id for row in rows if row.is_listed}
        self._context.current.update(listed)
        for mailbox_id in listed & numbers.keys() & self.progress.keys():
            progress = self.progress[mailbox_id]
            progress.error = None
            progress.synced_at = self._account_synced_at
            progress.end(numbers[mailbox_id])
        self._demand.request_due(filter(self._demand.is_to_be_listed, rows))
        return listed
