"""Being told of changes: IDLE on INBOX and on the mailboxes somebody has open (RFC 2177)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from connectors.api.errors import Denied, NotFound, Rejected
from connectors.api.types import MailboxRef, PushEvent
from connectors.imap.errors import ConnectionLost
from connectors.imap.idle import Idle
from connectors.imap.names import INBOX
from connectors.imap.session import Session

IDLE_RENEW_S = 600.0
"""IDLE is ended and begun anew after this: servers may log out after 30 minutes (RFC 2177), and a connection that a
firewall has forgotten is found out only by sending something."""


class Watcher:
    """Keeps one connection per watched mailbox waiting, as long as somebody iterates over `events`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._interest: frozenset[MailboxRef] = frozenset()
        self._unwatchable: set[MailboxRef] = set()
        self._outdated: set[MailboxRef] = set()
        self._wake = asyncio.Event()
        self._waiting: set[MailboxRef] = set()
        self._news: dict[MailboxRef, None] = {}  # in the order it came; each mailbox once, so it cannot grow
        session.pool.on_scarce = self._wake.set

    def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Say which mailboxes to watch beside INBOX, as far as connections reach."""
        self._interest = mailboxes
        self._unwatchable.clear()
        self._wake.set()

    def is_watching(self, mailbox: MailboxRef) -> bool:
        """Whether a connection waits in IDLE for news of the mailbox, and none that came is still to be told."""
        return mailbox in self._waiting and mailbox not in self._news and mailbox not in self._outdated

    def renew(self, mailbox: MailboxRef) -> None:
        """Select the mailbox anew for its watch: it is another one than it was."""
        self._outdated.add(mailbox)
        self._wake.set()

    async def events(self) -> AsyncIterator[PushEvent]:
        """Yield an event for each watched mailbox when its watch begins, and whenever it changes.

        Ends when the account is closed. Where the server has no IDLE nothing is ever yielded.

        Raises:
            Unavailable: a lost connection could not be replaced.
        """
        tasks: dict[MailboxRef, asyncio.Task[None]] = {}
        try:
            while self._session.pool.is_open:
                # Before anything is looked at: what is asked for while the caller has an event must not be missed.
                self._wake.clear()
                await self._adjust(tasks)
                self._raise_failure(tasks)
                while self._news:
                    mailbox = next(iter(self._news))
                    del self._news[mailbox]
                    yield PushEvent(mailbox)
                if self._session.pool.is_open:
                    await self._wait(tasks)
        finally:
            await _cancel(tasks.values())
            self._news.clear()

    def wanted(self) -> list[MailboxRef]:
        """Return the mailboxes to watch now: INBOX first, as many as the share of connections allows."""
        if not self._session.capabilities & {"IDLE", "IMAP4REV2"}:
            return []
        ranked = [INBOX, *sorted(self._interest - {INBOX})]
        return [ref for ref in ranked if ref not in self._unwatchable][: self._session.watch_limit]

    def stop(self) -> None:
        """Wake whoever iterates, to find the account closed."""
        self._wake.set()

    async def _adjust(self, tasks: dict[MailboxRef, asyncio.Task[None]]) -> None:
        """Stop watching what is not wanted any more and start what is."""
        wanted = self.wanted()
        leaving = [mailbox for mailbox in tasks if mailbox not in wanted or mailbox in self._outdated]
        self._outdated.clear()
        await _cancel([tasks.pop(mailbox) for mailbox in leaving])
        for mailbox in wanted:
            if mailbox not in tasks:
                tasks[mailbox] = asyncio.create_task(self._watch(mailbox), name=f"idle {mailbox}")

    def _raise_failure(self, tasks: dict[MailboxRef, asyncio.Task[None]]) -> None:
        for mailbox, task in list(tasks.items()):
            if task.done() and not task.cancelled():
                error = task.exception()
                del tasks[mailbox]
                if error is not None and self._session.pool.is_open:
                    raise error

    async def _wait(self, tasks: dict[MailboxRef, asyncio.Task[None]]) -> None:
        waker = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({waker, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waker.cancel()

    async def _watch(self, mailbox: MailboxRef) -> None:
        """Watch one mailbox until cancelled; return if it cannot be watched.

        A connection that was waiting and is lost is replaced once; if that fails too the error goes to the caller,
        whose business it is to try again later.
        """
        try:
            await self._watch_for_ever(mailbox)
        finally:
            self._waiting.discard(mailbox)

    async def _watch_for_ever(self, mailbox: MailboxRef) -> None:
        while True:
            was_waiting = False
            try:
                async with self._session.pool.connection(mailbox) as connection:
                    idle = Idle(connection)
                    while True:
                        await idle.begin()
                        was_waiting = True
                        # What happened before IDLE was on may have gone unnoticed, so the mailbox is reported.
                        self._report(mailbox)
                        self._waiting.add(mailbox)
                        deadline = asyncio.get_running_loop().time() + IDLE_RENEW_S
                        while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
                            if await idle.wait(left_s):
                                self._report(mailbox)
                        self._waiting.discard(mailbox)
                        if await idle.end():
                            self._report(mailbox)
            except (NotFound, Denied, Rejected):
                self._unwatchable.add(mailbox)
                self._wake.set()
                return
            except ConnectionLost:
                self._waiting.discard(mailbox)
                if not was_waiting:
                    raise

    def _report(self, mailbox: MailboxRef) -> None:
        self._news[mailbox] = None
        self._wake.set()


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    leaving = list(tasks)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
