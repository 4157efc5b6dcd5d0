"""The task that keeps one account in line with its backend.

    connect -> settle what was left open -> list the tree -> read mailboxes, most urgent first
       ^                                                        ^ push, poll, sessions that wait
       `-- back off after a failure                             `-- hydrate in the background when idle

A session never drives a sync: it asks for a mailbox to be read and, if it wants, waits for that. What is asked for is
in `gateway.sync.demand`, the reading itself in `gateway.sync.mailbox_reader`.
What goes before what at the backend is said in `gateway.sync.turns`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from connectors.api import errors
from connectors.api.abilities import Push
from connectors.api.priority import Priority, prioritised
from connectors.api.types import MailboxRef, PushEvent
from gateway.accounts.account import LOGIN_PAUSE_S
from gateway.store import mailboxes
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import first_of
from gateway.sync.account_writes import AccountWrites
from gateway.sync.context import AccountContext
from gateway.sync.demand import Demand
from gateway.sync.failures import most_telling, unforeseen
from gateway.sync.hydrate import Hydrator, Prefetch
from gateway.sync.mailbox_reader import MailboxReader
from gateway.sync.polling import Polling
from gateway.sync.schedule import Backoff, Urgency
from gateway.sync.sweep import SWEEP_INTERVAL_S, sweep
from gateway.sync.turns import Turns

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
        turns = Turns()
        demand = Demand(context, turns)
        super().__init__(context, demand, MailboxReader(context, demand))
        context.read_mailbox = lambda mailbox_id: self.wait_until_read(mailbox_id, FIRST_READ_S)
        self.hydrator = Hydrator(context, self.bodies)
        self._settings = settings
        self._turns = turns
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._swept_at = 0.0
        self._polling = Polling(settings.poll_interval_s)

    # -- what others ask ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"sync {self.context.account.name}")

    async def stop(self) -> None:
        """End the task, let writes that were begun come to their end for a while, and close the connector."""
        self.demand.retries.drop_all()
        await self._finish_writes()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        # Whoever waits for a reading need not wait any longer.
        self.reader.failed(errors.Unavailable(f"account {self.context.account.name} is not worked on any more"))
        await self.bodies.close()
        await self.context.account.retire()

    async def wait_for_tree(self, timeout_s: float) -> None:
        """Wait until the mailbox tree has been listed once, now or by an earlier process.

        Raises:
            ConnectorError: the backend cannot be reached.
        """
        if not self.reader.tree.is_known:
            self._turns.hurry()
            await self.reader.tree.wait(timeout_s)

    async def freshen_tree(self, max_age_s: float, timeout_s: float) -> None:
        """Have the mailbox tree brought up to date if that was longer ago, and wait a moment for it.

        Returns early when the backend is known to be out of reach.
        """
        progress = self.reader.tree.progress
        if progress.synced_at is not None and self.context.clock.monotonic() - progress.synced_at <= max_age_s:
            return
        begun = progress.begun
        row = await self._row_of_changes()
        if row is not None:
            self.demand.request(row.id, Urgency.WAITED_FOR)
        else:
            self.demand.request_tree(is_awaited=True)
        await progress.wait_past(begun, timeout_s, lambda: self.is_working)

    def retry(self) -> None:
        """Try a failing backend again at once, because somebody is here who cares."""
        self._retry_now.set()

    async def wait_until_read(self, mailbox_id: int, timeout_s: float) -> bool:
        """Ask for a mailbox and wait until it has been read after this call; return whether it was.

        Returns early, with False, when the backend is known to be out of reach.
        """
        progress = self.reader.progress[mailbox_id]
        begun = progress.begun
        self.demand.request(mailbox_id, Urgency.WAITED_FOR)
        return await progress.wait_past(begun, timeout_s, lambda: self.is_working) and progress.error is None

    @property
    def is_working(self) -> bool:
        """Whether the backend was in reach when last tried, or is being tried for the first time."""
        return self.reader.tree.error is None

    async def set_interest(self, mailbox_ids: frozenset[int]) -> None:
        """Say which mailboxes sessions have open: they are watched first."""
        if mailbox_ids != self.demand.interest:
            self.demand.interest = mailbox_ids
            self._polling.watch(is_watched=bool(mailbox_ids))
            await self._tell_interest()

    # -- the task -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        with prioritised(Priority.BACKGROUND):
            await self._run_for_ever()

    async def _run_for_ever(self) -> None:
        if await self.context.rows():
            self.reader.tree.set_known()
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

    async def _sweep(self) -> None:
        self._swept_at = self.context.clock.monotonic()
        await sweep(self.context, may_forget=lambda: not self.demand.interest)

    async def _run_connected(self, backoff: Backoff) -> float:
        """Work until something fails; return how long to pause then, in seconds."""
        error: errors.ConnectorError = errors.Unavailable("the synchronisation ended")
        try:
            # Before the tree is known nobody can do anything.
            async with self.context.start_gate.turn(self._turns.hurried):
                with self._turns.take(is_awaited=not self.reader.tree.is_known):
                    await self.context.account.open()
                    await self.reader.read_tree()
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
        await self.context.account.failed(error)
        self.reader.failed(error)
        if isinstance(error, errors.AuthExpired):
            return LOGIN_PAUSE_S + 1
        return backoff.failed(error.retry_after_s if isinstance(error, errors.RateLimited) else 0.0)

    async def _follow_tree(self) -> None:
        while True:
            with self._turns.take(is_awaited=await self.demand.next_tree()):
                await self.reader.read_tree()

    async def _poll(self) -> None:
        while True:
            await self._polling.pause(self.context.account.capabilities.poll_interval_s)
            row = await self._row_of_changes()
            if row is not None:
                self.demand.request(row.id, Urgency.POLLED)
            else:
                await self.reader.read_tree()
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
                self.demand.request_tree()
            else:
                self.demand.retries.at_lull(row.id, self.context.lull)
        raise errors.Unavailable("the push channel ended")

    async def _tell_interest(self) -> None:
        connector = self.context.account.connector
        if not isinstance(connector, Push) or not self.context.account.is_open:
            return
        rows = [await self.context.row(mailbox_id) for mailbox_id in self.demand.interest]
        await connector.set_interest(frozenset(MailboxRef(row.ref) for row in rows if row is not None))

    async def _work_queue(self) -> None:
        while True:
            mailbox_id, urgency = await self.demand.next()
            row = await self.context.row(mailbox_id)
            if row is None or not row.is_selectable:
                self.reader.forget(mailbox_id)
                continue
            with self._turns.take(is_awaited=self.demand.is_awaited(row, urgency)):
                if await self.reader.read(row):
                    self.hydrator.wake()

    def _is_busy(self) -> bool:
        return self.demand.has_mailboxes or self._turns.are_awaited

    # -- rows ---------------------------------------------------------------------------------------------------------

    async def _row_of_changes(self) -> MailboxRow | None:
        """Return the mailbox whose reading tells of the tree; None if the tree has to be listed."""
        return first_of(await self.context.rows()) if self.reader.has_told_tree else None

    async def _row_for(self, event: PushEvent) -> MailboxRow | None:
        """Return the mailbox to be read after an event; None if the tree has to be listed."""
        account_id, ref = self.context.account_id, event.mailbox
        if ref is not None:
            row = await self.context.store.read(lambda tx: mailboxes.mailbox_by_ref(tx, account_id, ref))
            if row is not None:
                return row
        # Of a mailbox that is new the account's changes tell, if there is anything in it.
        return first_of(await self.context.rows()) if self.reader.has_account_cursor else None
