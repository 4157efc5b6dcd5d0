"""Accounts at a stand-in that posts notifications to a real port of this machine, on a clock that a test moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.types import MailboxRef
from connectors.graph.client import GraphClient
from connectors.graph.listener import Listeners
from connectors.graph.mail import Mail
from connectors.graph.push import PushWatcher
from connectors.graph.settings import OWN_MAILBOX, GraphSettings, ListenAddress
from tests.connectors.graph.ports import free_address
from tests.connectors.graph.stepping_clock import SteppingClock
from tests.connectors.graph.writing_rig import ROOT, InProcess, mail
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.subscriptions import Subscription

PATIENCE_S = 10.0


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks run until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        # What is waited for comes by a socket, and there is no event for it.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Watched:
    """One account; `told` are the folders of which it was told, in that order, None for all."""

    def __init__(
        self,
        fake: FakeGraph,
        clock: SteppingClock,
        listeners: Listeners,
        user: str,
        listen: ListenAddress,
        mailbox: str,
    ) -> None:
        self.fake = fake
        self.user = user
        self.told: list[MailboxRef | None] = []
        settings = GraphSettings(
            api_root=ROOT,
            mailbox=mailbox,
            requests_per_10_minutes=1_000_000,
            notification_url=f"http://{listen}/graph",
            notification_listen=listen,
        )
        source = FixedCredential(BearerCredential("", Secret(fake.access_token(user=user))))
        self.client = GraphClient(settings, source, clock=clock, transport=InProcess(fake), chance=lambda: 0.0)
        self.mail = Mail(self.client, settings)
        self.push = PushWatcher(self.mail, listeners=listeners, chance=lambda: 0.0)
        self._task: asyncio.Task[None] | None = None

    @property
    def inbox(self) -> MailboxRef:
        return self.folder("inbox")

    def folder(self, name: str) -> MailboxRef:
        """Return the id of a folder."""
        return MailboxRef(self.fake.folder_id(name, user=self.user))

    def begin(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching; the subscriptions stay. Raises what the watch ended with."""
        assert self._task is not None
        task, self._task = self._task, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def ended(self) -> None:
        """Wait until the watch ends by itself. Raises what it ended with."""
        assert self._task is not None
        task, self._task = self._task, None
        async with asyncio.timeout(PATIENCE_S):
            await task

    async def close(self) -> None:
        """As the connector does it."""
        await self.push.close()
        await self.client.close()
        if self._task is not None:
            await self.ended()

    def subscriptions(self) -> list[Subscription]:
        """Return those that the stand-in has for this account."""
        return [each for each in self.fake.subscriptions.active() if each.mailbox.address == self.user]

    def watched(self) -> set[MailboxRef]:
        """Return the folders that are subscribed to."""
        return {
            MailboxRef(each.mailbox.ids.folder(each.folder.number))
            for each in self.subscriptions()
            if each.folder is not None
        }

    def deliver(self, number: int = 1, name: str = "inbox") -> str:
        """Let a message arrive."""
        return self.fake.deliver(mail(number), name, user=self.user)

    async def is_told(self, *mailboxes: MailboxRef | None) -> None:
        """Wait until exactly these have been told of since the last call."""
        await until(lambda: len(self.told) >= len(mailboxes))
        assert self.told == list(mailboxes)
        self.told.clear()

    async def _watch(self) -> None:
        async with contextlib.aclosing(self.push.events()) as events:
            async for event in events:
                self.told.append(event.mailbox)


class Street:
    """A stand-in and accounts at it, which listen at one address unless told otherwise."""

    def __init__(self, fake: FakeGraph, clock: SteppingClock) -> None:
        self.fake = fake
        self.clock = clock
        self.listen = free_address()
        self.listeners = Listeners()
        self.accounts: list[Watched] = []

    def account(
        self, user: str | None = None, listen: ListenAddress | None = None, mailbox: str = OWN_MAILBOX
    ) -> Watched:
        """Return an account of a user, the stand-in's first one or a new one."""
        address = user or self.fake.options.address
        if address not in self.fake.mailboxes:
            self.fake.add_user(address)
        self.accounts.append(Watched(self.fake, self.clock, self.listeners, address, listen or self.listen, mailbox))
        return self.accounts[-1]

    async def posted(self) -> Sequence[int]:
        """Wait until the stand-in has posted all notifications; return how they were answered since the last call."""
        async with asyncio.timeout(PATIENCE_S):
            await self.fake.subscriptions.settle()
        statuses = [status for _, _, status in self.fake.subscriptions.delivered]
        self.fake.subscriptions.delivered.clear()
        return statuses

    def asked(self, operation: str) -> int:
        """Return how often a method was called since the last `forget`."""
        return self.fake.stats.requests[f"subscriptions.{operation}"]

    def forget(self) -> None:
        """Begin to count anew."""
        self.fake.stats.clear()


@contextlib.asynccontextmanager
async def street() -> AsyncIterator[Street]:
    """Run a stand-in. In the end nothing may have been sent that Graph's types forbid, or without immutable ids."""
    clock = SteppingClock()
    fake = FakeGraph(GraphOptions(token_lifetime_s=100_000_000), clock=clock)
    posting = asyncio.create_task(fake.subscriptions.run())
    built = Street(fake, clock)
    try:
        yield built
    finally:
        for account in built.accounts:
            await account.close()
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        await fake.subscriptions.close()
    assert fake.stats.without_immutable_ids == 0
    fake.assert_no_violations()
