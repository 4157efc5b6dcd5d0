"""Learning of changes at once: Graph posts to an address on the Internet that leads here, if the operator has one.

INBOX is watched and what somebody has open, each folder by a subscription, which is renewed as long as that is so.
Notifications are hints; Graph may drop some, and polling is the floor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Final

from connectors.api.errors import (
    AuthExpired,
    ConnectorError,
    Denied,
    NotFound,
    RateLimited,
    Rejected,
    Unsupported,
)
from connectors.api.types import MailboxRef, PushEvent
from connectors.graph.folders import WellKnown
from connectors.graph.listener import Listeners, shared_listeners
from connectors.graph.mail import Mail
from connectors.graph.news import News, nap
from connectors.graph.notifications import Door
from connectors.graph.structs import Notification
from connectors.graph.subscriptions import Held, Subscriptions
from connectors.transport.retry import RetryPolicy

MAX_WATCHED: Final = 20
"""Folders at most: Graph lets a mailbox have 1,000 subscriptions, those of all applications together."""

SETTLE_S: Final = 2.0
"""A client that opens one folder after the other does not have each of them watched."""

MISCONFIGURED_S: Final = 3600.0
"""How long to wait where the address does not lead here, or rights are missing: a person has to mend that."""

SHORTEST_NAP_S: Final = 60.0
LONGEST_NAP_S: Final = 900.0
"""The clock is looked at so often at least: it may jump, as after a machine has slept."""

CLOSING_S: Final = 3.0
"""How long ending the subscriptions may take. What is not ended then expires."""

_PAUSES: Final = RetryPolicy(first_s=2.0, max_s=300.0)
_FINAL: Final = (Denied, NotFound, Rejected, Unsupported)

_log = logging.getLogger(__name__)


class PushWatcher:
    """Tells which folders of one account have changed. `chance` gives random numbers in 0..1."""

    def __init__(
        self, mail: Mail, *, listeners: Listeners | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        """Prepare to watch; the settings name address and listener."""
        listen = mail.settings.notification_listen
        assert listen is not None, "there is somewhere to listen"
        self._listen = listen
        self._mail = mail
        self._clock = mail.clock
        self._listeners = listeners
        self._chance = chance
        self._interest: frozenset[MailboxRef] = frozenset()
        self._news = News(mail.clock)
        self._stirred = asyncio.Event()
        self._subscriptions = Subscriptions(mail.client, self._told)
        self._refused: dict[MailboxRef, float] = {}
        """Folders that cannot be watched, and until when that is taken for granted, in seconds of the clock."""
        self._has_complained = False

    def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Watch these mailboxes too."""
        if mailboxes - self._interest:
            self._stirred.set()
        self._interest = mailboxes

    async def events(self) -> AsyncGenerator[PushEvent, None]:
        """Yield whenever something has changed, and for each folder when it begins to be watched.

        Ends when the client is closed.

        Raises:
            AuthExpired: the login is no longer good. What else is wrong is logged, and tried again.
        """
        closed = asyncio.create_task(self._mail.client.closed.wait(), name="graph closed")
        keeper = asyncio.create_task(self._keep(), name="graph subscriptions")
        coming = asyncio.create_task(self._news.take(), name="graph news")
        try:
            while True:
                await asyncio.wait({closed, keeper, coming}, return_when=asyncio.FIRST_COMPLETED)
                if closed.done():
                    return
                if keeper.done():
                    keeper.result()
                if coming.done():
                    for mailbox in coming.result():
                        self._mail.looks.told(mailbox)
                        yield PushEvent(mailbox)
                    coming = asyncio.create_task(self._news.take(), name="graph news")
        finally:
            for task in (closed, keeper, coming):
                task.cancel()
            await asyncio.gather(closed, keeper, coming, return_exceptions=True)

    async def close(self) -> None:
        """End the subscriptions, as far as that can be done soon. Never raises; the client must still be open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._subscriptions.end_all()

    # -- keeping ------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Keep the subscriptions, for ever.

        Raises:
            AuthExpired.
        """
        listeners = self._listeners or shared_listeners()
        async with contextlib.AsyncExitStack() as stack:
            while (door := await self._enter(stack, listeners)) is None:
                await self._clock.sleep(MISCONFIGURED_S)
            self._subscriptions.attach(door)
            stack.callback(self._subscriptions.detach)
            await self._clear()
            failed = 0
            while True:
                self._stirred.clear()
                try:
                    pause_s = await self._tend()
                except AuthExpired:
                    raise
                except ConnectorError as error:
                    failed += 1
                    # Whatever else comes up meanwhile would fail too.
                    await self._clock.sleep(self._pause(error, failed))
                    continue
                failed = 0
                self._succeeded()
                await nap(self._clock, pause_s, self._stirred)
                if self._stirred.is_set():
                    await self._clock.sleep(SETTLE_S)

    async def _enter(self, stack: contextlib.AsyncExitStack, listeners: Listeners) -> Door | None:
        try:
            return await stack.enter_async_context(listeners.joined(self._listen))
        except OSError as error:
            self._complain(
                f"cannot listen at {self._listen} ({error}): set notification_listen to an address and port of this "
                "machine that are free"
            )
            return None

    async def _clear(self) -> None:
        try:
            await self._subscriptions.end_strays()
        except AuthExpired:
            raise
        except ConnectorError as error:
            _log.debug("subscriptions of an earlier process are left to expire: %s", error.operator_text)

    async def _tend(self) -> float:
        """Renew and make what is due; return how many seconds to wait until something is due again.

        Raises:
            ConnectorError: nothing can be done now.
        """
        wanted = await self._wanted()
        for held in self._subscriptions.all():
            if held.mailbox not in wanted and held.expires_at <= self._clock.now():
                self._subscriptions.drop(held)
        for mailbox in wanted:
            held_now = self._subscriptions.get(mailbox)
            if held_now is not None and held_now.renew_at <= self._clock.now():
                held_now = await self._renewed(held_now)
            if held_now is None and self._refused.get(mailbox, 0.0) <= self._clock.monotonic():
                await self._begin(mailbox, wanted)
        now = self._clock.now()
        due = [held.renew_at - now for held in self._subscriptions.all() if held.mailbox in wanted]
        soonest = min(due, default=timedelta(seconds=LONGEST_NAP_S)).total_seconds()
        return min(max(soonest, SHORTEST_NAP_S), LONGEST_NAP_S)

    async def _wanted(self) -> list[MailboxRef]:
        """Return the folders to watch: INBOX, and those that somebody has open."""
        inbox = await self._mail.place(WellKnown.INBOX)
        wanted = [] if inbox is None else [inbox]
        wanted += sorted(self._interest - set(wanted))
        self._refused = {mailbox: until for mailbox, until in self._refused.items() if mailbox in wanted}
        return wanted[:MAX_WATCHED]

    async def _renewed(self, held: Held) -> Held | None:
        """Renew a subscription; return None if it is gone."""
        try:
            await self._subscriptions.renew(held)
        except _FINAL as error:
            _log.info("a subscription at Graph is gone, and made anew: %s", error.operator_text)
            self._subscriptions.drop(held)
            return None
        return held

    async def _begin(self, mailbox: MailboxRef, wanted: list[MailboxRef]) -> None:
        """Watch a folder, in the place of one that nobody has open any more if there are too many."""
        spare = (held for held in self._subscriptions.all() if held.mailbox not in wanted)
        if len(self._subscriptions) >= MAX_WATCHED and (oldest := next(spare, None)) is not None:
            await self._subscriptions.end(oldest)
        try:
            await self._subscriptions.begin(mailbox)
        except _FINAL as error:
            if not len(self._subscriptions):
                raise
            # Others can be watched: it is this folder.
            _log.info("no notifications for a folder, which is polled: %s", error.operator_text)
            self._refused[mailbox] = self._clock.monotonic() + MISCONFIGURED_S
        else:
            # What happened until now was not told.
            self._news.add(mailbox)

    def _pause(self, error: ConnectorError, failed: int) -> float:
        """Return how long to wait after so many errors, the last of which was this, in seconds."""
        if isinstance(error, _FINAL):
            self._complain(_advice(error, str(self._mail.settings.notification_url), str(self._listen)))
            return MISCONFIGURED_S
        _log.info("notifications from Graph are interrupted: %s", error.operator_text)
        delay_s = _PAUSES.delay(failed, self._chance())
        return max(delay_s, error.retry_after_s) if isinstance(error, RateLimited) else delay_s

    def _complain(self, text: str) -> None:
        """Log what a person has to mend, once until it is mended."""
        level = logging.DEBUG if self._has_complained else logging.WARNING
        _log.log(level, "no notifications from Graph for %s, which is polled: %s", self._mail.client.root, text)
        self._has_complained = True

    def _succeeded(self) -> None:
        if self._has_complained and len(self._subscriptions):
            self._has_complained = False
            _log.warning("notifications from Graph come in again for %s", self._mail.client.root)

    # -- being told ---------------------------------------------------------------------------------------------------

    def _told(self, held: Held, notification: Notification) -> None:
        match notification.lifecycle_event:
            case None:
                self._news.add(held.mailbox)
            case "reauthorizationRequired":
                held.renew_at = self._clock.now()
                self._stirred.set()
            case "subscriptionRemoved":
                self._subscriptions.drop(held)
                self._stirred.set()
                self._news.add(None)
            case _:
                # `missed`, and whatever may be added.
                self._news.add(None)


def _advice(error: ConnectorError, url: str, listen: str) -> str:
    """Return what is wrong and what to do."""
    if isinstance(error, (Denied, NotFound)):
        advice = (
            "the login may not have them for this mailbox; a user's login gets them for the user's own mailbox only. "
            "Leave out notification_url and notification_listen, or use an application's own secret or certificate"
        )
    else:
        advice = (
            f"see to it that {url} can be reached from the Internet over https, with a certificate that everybody "
            f"trusts, and that what is posted there is passed on to {listen}, with its query"
        )
    return f"{advice} ({error.operator_text})"
