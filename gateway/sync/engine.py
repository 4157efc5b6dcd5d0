"""The task that keeps one account in line with its backend.

    connect -> settle what was left open -> list the tree -> read mailboxes, most urgent first
       ^                                                        ^ push, poll, sessions that wait
       `-- back off after a failure                             `-- hydrate in the background when idle

A session never drives a sync: it asks for a mailbox to be read and, if it wants, waits for that.
What goes before what at the backend is said in `gateway.sync.turns`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.api import errors
from connectors.api.abilities import Push
from connectors.api.capabilities import Scope
from connectors.api.priority import Priority, prioritised
from connectors.api.types import MailboxRef, PushEvent
from gateway.accounts.account import LOGIN_PAUSE_S
from gateway.store import mailboxes
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import AccountSync, first_of, is_inbox
from gateway.sync.account_writes import AccountWrites
from gateway.sync.context import AccountContext
from gateway.sync.failures import most_telling, unforeseen
from gateway.sync.hydrate import Hydrator, Prefetch
from gateway.sync.mailbox_sync import SyncOutcome, list_mailbox, read_changes
from gateway.sync.polling import Polling
from gateway.sync.progress import WATCH_TRUST_S, MailboxProgress
from gateway.sync.retries import Retries
from gateway.sync.schedule import Backoff, Queue, Urgency
from gateway.sync.sweep import SWEEP_INTERVAL_S, sweep
from gateway.sync.tree import sync_tree
from gateway.sync.turns import Turns

log = logging.getLogger(__name__)

FIRST_READ_S = 60.0
"""How long a write waits for its mailbox to be read for the first time in this process."""


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """`prefetch`: what is read in the background. `poll_interval_s` of None is the connector's own."""

    prefetch: Prefetch = Prefetch.HEADERS
    poll_interval_s: float | None = None
    parallel_mailboxes: int = 2


class AccountEngine(AccountWrites):
    """Runs the synchronisation of one account; `start` it once, `stop` it at the end."""

    def __init__(self, context: AccountContext, settings: SyncSettings) -> None:
        super().__init__(context)
        context.read_mailbox = lambda mailbox_id: self.wait_until_read(mailbox_id, FIRST_READ_S)
        self.hydrator = Hydrator(context, self.bodies)
        self._settings = settings
        self._queue = Queue()
        self._work = asyncio.Event()
        self._wants_tree = asyncio.Event()
        self._is_tree_awaited = False
        self._turns = Turns()
        self._tree_known = asyncio.Event()
        self._tree_error: errors.ConnectorError | None = None
        self._tree_progress = MailboxProgress()
        self._attempt = asyncio.Event()
        self._retry_now = asyncio.Event()
        self._progress: defaultdict[int, MailboxProgress] = defaultdict(MailboxProgress)
        self._mailbox_locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._account = AccountSync(context, self._list_tree)
        self._account_synced_at: float | None = None
        self._interest: frozenset[int] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._retries = Retries(self.request)
        self._swept_at = 0.0
        self._polling = Polling(settings.poll_interval_s)

    # -- what others ask ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"sync {self.context.account.name}")

    async def stop(self) -> None:
        """End the task, let writes that were begun come to their end for a while, and close the connector."""
        self._retries.drop_all()
        await self._finish_writes()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.bodies.close()
        await self.context.account.retire()

    async def wait_for_tree(self, timeout_s: float) -> None:
        """Wait until the mailbox tree has been listed once, now or by an earlier process.

        Raises:
            ConnectorError: the backend cannot be reached.
        """
        if self._tree_known.is_set():
            return
        deadline = asyncio.get_running_loop().time() + timeout_s
        self._turns.hurry()
        while not self._tree_known.is_set():
            attempt = self._attempt
            left_s = deadline - asyncio.get_running_loop().time()
            if self._tree_error is not None or left_s <= 0:
                raise self._tree_error or errors.Unavailable(
                    f"account {self.context.account.name}: no list of mailboxes within {timeout_s:g} s"
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await attempt.wait()

    def request(self, mailbox_id: int, urgency: Urgency = Urgency.OPEN) -> None:
        """Ask for a mailbox to be read soon."""
        self._queue.add(mailbox_id, urgency)
        self._work.set()
        if urgency is Urgency.WAITED_FOR:
            self._turns.hurry()

    def request_tree(self) -> None:
        """Ask for the mailbox tree to be listed soon."""
        self._wants_tree.set()

    async def freshen_tree(self, max_age_s: float, timeout_s: float) -> None:
        """Have the mailbox tree brought up to date if that was longer ago, and wait a moment for it.

        Returns early when the backend is known to be out of reach.
        """
        progress = self._tree_progress
        if progress.synced_at is not None and self.context.clock.monotonic() - progress.synced_at <= max_age_s:
            return
        begun = progress.begun
        row = first_of(await self._rows()) if self._has_told_tree else None
        if row is not None:
            self.request(row.id, Urgency.WAITED_FOR)
        else:
            self._is_tree_awaited = True
            self.request_tree()
            self._turns.hurry()
        await progress.wait_past(begun, timeout_s, lambda: self.is_working)

    def retry(self) -> None:
        """Try a failing backend again at once, because somebody is here who cares."""
        self._retry_now.set()

    async def wait_until_read(self, mailbox_id: int, timeout_s: float) -> bool:
        """Ask for a mailbox and wait until it has been read after this call; return whether it was.

        Returns early, with False, when the backend is known to be out of reach.
        """
        progress = self._progress[mailbox_id]
        begun = progress.begun
        self.request(mailbox_id, Urgency.WAITED_FOR)
        return await progress.wait_past(begun, timeout_s, lambda: self.is_working) and progress.error is None

    @property
    def is_working(self) -> bool:
        """Whether the backend was in reach when last tried, or is being tried for the first time."""
        return self._tree_error is None

    def age_s(self, mailbox_id: int) -> float | None:
        """Return how long ago the mailbox was last read by this process, in seconds."""
        synced_at = self._account_synced_at if self._has_account_cursor else self._progress[mailbox_id].synced_at
        return None if synced_at is None else self.context.clock.monotonic() - synced_at

    def is_told_of(self, row: MailboxRow) -> bool:
        """Whether the backend tells by itself what happens in the mailbox, and all that it has told is read."""
        progress, age_s, account = self._progress[row.id], self.age_s(row.id), self.context.account
        is_known = age_s is not None and age_s <= WATCH_TRUST_S and progress.error is None and account.is_open
        is_due = row.id in self._queue or row.id in self._retries or self._wants_tree.is_set()
        is_at_rest = is_known and not is_due and progress.is_at_rest and self._tree_progress.is_at_rest
        return is_at_rest and isinstance(account.connector, Push) and account.connector.is_watching(MailboxRef(row.ref))

    async def set_interest(self, mailbox_ids: frozenset[int]) -> None:
        """Say which mailboxes sessions have open: they are watched first."""
        if mailbox_ids != self._interest:
            self._interest = mailbox_ids
            self._polling.watch(is_watched=bool(mailbox_ids))
            await self._tell_interest()

    # -- the task -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        with prioritised(Priority.BACKGROUND):
            await self._run_for_ever()

    async def _run_for_ever(self) -> None:
        rows = await self._rows()
        if rows:
            self._tree_known.set()
            self._tell_attempt()
        await self._sweep()
        backoff = Backoff()
        while True:
            pause_s = await self._run_connected(backoff)
            if self._is_stopping:
                # A task group whose member fails while it is cancelled reports the failure only. The task's count of
                # cancellations does not tell either: before Python 3.13 a failed group leaves it raised.
                return
            self._retry_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._retry_now.wait()

    def _is_awaited(self, row: MailboxRow, urgency: Urgency) -> bool:
        if urgency is Urgency.PUSHED:
            return row.is_listed and bool(self._interest)
        return urgency is Urgency.WAITED_FOR

    async def _sweep(self) -> None:
        self._swept_at = self.context.clock.monotonic()
        await sweep(self.context, may_forget=lambda: not self._interest)

    async def _run_connected(self, backoff: Backoff) -> float:
        """Work until something fails; return how long to pause then, in seconds."""
        error: errors.ConnectorError = errors.Unavailable("the synchronisation ended")
        try:
            # Before the tree is known nobody can do anything.
            async with self.context.start_gate.turn(self._turns.hurried):
                with self._turns.take(is_awaited=not self._tree_known.is_set()):
                    await self.context.account.open()
                    await self._read_tree()
            backoff.succeeded()
            async with asyncio.TaskGroup() as group:
                with prioritised(Priority.INTERACTIVE):
                    group.create_task(self._settle())
                group.create_task(self._watch())
                group.create_task(self._poll())
                group.create_task(self._follow_tree())
                for _ in range(self._settings.parallel_mailboxes):
                    group.create_task(self._work_queue())
                group.create_task(self.hydrator.prefetch(self._settings.prefetch, self._is_busy))
        except* errors.ConnectorError as group_error:
            error = most_telling(group_error)
        except* Exception as group_error:
            error = unforeseen(group_error, self.context.account.name)
        await self._failed(error)
        if isinstance(error, errors.AuthExpired):
            return LOGIN_PAUSE_S + 1
        return backoff.failed(error.retry_after_s if isinstance(error, errors.RateLimited) else 0.0)

    async def _failed(self, error: errors.ConnectorError) -> None:
        await self.context.account.failed(error)
        self._tree_error = error
        self._tell_attempt()
        for progress in (self._tree_progress, *self._progress.values()):
            progress.error = error
            progress.end(progress.begun)

    def _tell_attempt(self) -> None:
        self._attempt.set()
        self._attempt = asyncio.Event()

    async def _list_tree(self) -> list[MailboxRow]:
        self._wants_tree.clear()
        number = self._tree_progress.begin()
        rows = await sync_tree(self.context)
        self._tree_progress.synced_at = self.context.clock.monotonic()
        self._tree_progress.end(number)
        self._tree_error = None
        self._tree_known.set()
        self._tell_attempt()
        for mailbox_id in self._progress.keys() - {row.id for row in rows}:
            self._forget(mailbox_id)
        return rows

    async def _read_tree(self) -> list[MailboxRow]:
        """List the tree, and have read what that alone does not tell."""
        rows = await self._list_tree()
        selectable = [row for row in rows if row.is_selectable]
        if self._has_account_cursor:
            # One reading of the changes serves all; only what was never listed needs its own turn.
            first = first_of(rows)
            selectable = [row for row in selectable if row is first or self._is_to_be_listed(row)]
        for row in selectable:
            self.request(row.id, self._urgency(row))
        return rows

    @property
    def _has_account_cursor(self) -> bool:
        return self.context.account.capabilities.cursor_scope is Scope.ACCOUNT

    @property
    def _has_told_tree(self) -> bool:
        """Whether the account's changes tell of the tree too."""
        return self._has_account_cursor and self.context.account.capabilities.reports_tree

    def _is_to_be_listed(self, row: MailboxRow) -> bool:
        """Whether the mailbox, never listed yet, is listed though nobody waits for it."""
        is_due = not self.context.account.capabilities.lists_by_mailbox or row.id in self._interest or is_inbox(row)
        return row.is_selectable and not row.is_listed and is_due

    def _urgency(self, row: MailboxRow) -> Urgency:
        if row.id in self._interest:
            return Urgency.OPEN
        return Urgency.INBOX if is_inbox(row) else Urgency.POLLED

    async def _follow_tree(self) -> None:
        while True:
            await self._wants_tree.wait()
            is_awaited, self._is_tree_awaited = self._is_tree_awaited, False
            with self._turns.take(is_awaited=is_awaited):
                await self._read_tree()

    async def _poll(self) -> None:
        while True:
            await self._polling.pause(self.context.account.capabilities.poll_interval_s)
            row = first_of(await self._rows()) if self._has_told_tree else None
            if row is not None:
                self.request(row.id, Urgency.POLLED)
            else:
                await self._read_tree()
            if self.context.clock.monotonic() - self._swept_at > SWEEP_INTERVAL_S:
                await self._sweep()

    async def _watch(self) -> None:
        connector = self.context.account.connector
        if not isinstance(connector, Push):
            return
        await self._tell_interest()
        async for event in connector.watch():
            row = await self._row_for(event)
            if row is None:
                self.request_tree()
            else:
                self._retries.at_lull(row.id, self.context.lull)
        raise errors.Unavailable("the push channel ended")

    async def _tell_interest(self) -> None:
        connector = self.context.account.connector
        if not isinstance(connector, Push) or not self.context.account.is_open:
            return
        rows = [await self._row(mailbox_id) for mailbox_id in self._interest]
        await connector.set_interest(frozenset(MailboxRef(row.ref) for row in rows if row is not None))

    async def _work_queue(self) -> None:
        while True:
            asked = self._queue.pop()
            if asked is None:
                self._work.clear()
                await self._work.wait()
                continue
            mailbox_id, urgency = asked
            row = await self._row(mailbox_id)
            if row is not None and row.is_selectable:
                with self._turns.take(is_awaited=self._is_awaited(row, urgency)):
                    await self._read_mailbox(row)
            else:
                self._forget(mailbox_id)

    async def _read_mailbox(self, row: MailboxRow) -> None:
        """Read one mailbox; an error that is only its own is set aside, any other ends the connection's work."""
        progress = self._progress[row.id]
        number = progress.begin()
        try:
            outcome = await self._sync_mailbox(row, number)
        except errors.NotFound:
            self.request_tree()
            progress.error = errors.NotFound(f"mailbox {row.id}")
        except (errors.Denied, errors.Rejected, errors.Unsupported, errors.TooLarge) as error:
            log.warning("account %s: mailbox %s: %s", self.context.account.name, row.ref, error.operator_text)
            progress.error = error
        except errors.Unavailable as error:
            # One mailbox that cannot be read must not keep all the others from being read: does the rest answer?
            await self._list_anew()
            log.warning("account %s: mailbox %s: %s", self.context.account.name, row.ref, error.operator_text)
            progress.error = error
            self._retries.later(row.id, progress.backoff.failed())
        else:
            progress.error = None
            progress.backoff.succeeded()
            progress.synced_at = self.context.clock.monotonic()
            self._follow_up(row, outcome)
            self.hydrator.wake()
        progress.end(number)

    async def _list_anew(self) -> None:
        """List the tree to see whether the backend answers. What it says is used: it may not tell of it again."""
        known = {row.id for row in await self._rows()}
        for row in await self._list_tree():
            if row.is_selectable and row.id not in known:
                self.request(row.id, self._urgency(row))

    def _forget(self, mailbox_id: int) -> None:
        """Let go of what is kept of a mailbox that is gone; whoever waits for it learns so."""
        self._queue.discard(mailbox_id)
        self._retries.drop(mailbox_id)
        progress = self._progress.pop(mailbox_id, None)
        if progress is not None:
            progress.error = errors.NotFound(f"mailbox {mailbox_id}")
            progress.end(progress.begin())
        for locks in (self._mailbox_locks, self.context.write_locks):
            if mailbox_id in locks and not locks[mailbox_id].locked():
                del locks[mailbox_id]
        self.context.current.discard(mailbox_id)

    async def _resync(self, row: MailboxRow) -> bool:
        outcome = await self._sync_mailbox(row)
        return self._follow_up(row, outcome)

    def _follow_up(self, row: MailboxRow, outcome: SyncOutcome) -> bool:
        """Take note of a reading, and have read what it left over; return whether that was nothing."""
        self.context.current.add(row.id)
        if outcome.tree_changed:
            self.request_tree()
        if not outcome.is_settled:
            self.context.guard.when_written(lambda: self.request(row.id, Urgency.PUSHED))
        return outcome.is_settled

    async def _sync_mailbox(self, row: MailboxRow, number: int | None = None) -> SyncOutcome:
        """Read the mailbox. As its reading `number` it need not be, if one that began later has ended already."""
        async with self._mailbox_locks[row.id]:
            fresh = await self._row(row.id)
            if fresh is None:
                raise errors.NotFound(f"mailbox {row.id}")
            if self._has_account_cursor:
                return await self._sync_account(fresh, number)
            if not fresh.is_listed:
                outcome = await list_mailbox(self.context, fresh)
                if not outcome.is_settled:
                    return outcome
                fresh = await self._row(row.id) or fresh
            try:
                return await read_changes(self.context, fresh)
            except errors.CursorExpired:
                # The UIDs may have been voided, which only the tree tells.
                await self._read_tree()
                fresh = await self._row(row.id)
                if fresh is None:
                    raise errors.NotFound(f"mailbox {row.id}") from None
                return await list_mailbox(self.context, fresh)

    async def _sync_account(self, row: MailboxRow, number: int | None) -> SyncOutcome:
        """With one cursor for the account one reading serves all its mailboxes but those never listed."""
        async with self._account.lock:
            if number is not None and self._progress[row.id].ended >= number:
                return SyncOutcome()
            numbers = {mailbox_id: progress.begin() for mailbox_id, progress in self._progress.items()}
            tree_number = self._tree_progress.begin()
            waiting = self._queue.take()
            listed: set[int] = set()
            try:
                outcome = await self._account.read(row)
                listed = await self._read_together(numbers)
                if self._has_told_tree:
                    self._tree_progress.synced_at = self._account_synced_at
                    self._tree_progress.end(tree_number)
            finally:
                for mailbox_id, urgency in waiting.items():
                    if mailbox_id not in listed:
                        self.request(mailbox_id, urgency)
            return outcome

    async def _read_together(self, numbers: Mapping[int, int]) -> set[int]:
        """Take note that a reading of the account has ended, given its number by mailbox; return what it served."""
        self._account_synced_at = self.context.clock.monotonic()
        rows = await self._rows()
        listed = {row.id for row in rows if row.is_listed}
        self.context.current.update(listed)
        for mailbox_id in listed & numbers.keys() & self._progress.keys():
            progress = self._progress[mailbox_id]
            progress.error = None
            progress.synced_at = self._account_synced_at
            progress.end(numbers[mailbox_id])
        for row in rows:
            if self._is_to_be_listed(row):
                self.request(row.id, self._urgency(row))
        return listed

    def _is_busy(self) -> bool:
        return len(self._queue) > 0 or self._turns.are_awaited

    # -- rows ---------------------------------------------------------------------------------------------------------

    async def _rows(self) -> list[MailboxRow]:
        return await self.context.store.read(lambda tx: mailboxes.mailboxes_of(tx, self.context.account_id))

    async def _row_for(self, event: PushEvent) -> MailboxRow | None:
        """Return the mailbox to be read after an event; None if the tree has to be listed."""
        account_id, ref = self.context.account_id, event.mailbox
        if ref is not None:
            row = await self.context.store.read(lambda tx: mailboxes.mailbox_by_ref(tx, account_id, ref))
            if row is not None:
                return row
        # Of a mailbox that is new the account's changes tell, if there is anything in it.
        return first_of(await self._rows()) if self._has_account_cursor else None
