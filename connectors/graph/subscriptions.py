"""The subscriptions of one account: made, renewed and ended at Graph, one for each folder that is watched.

Source: Graph's pages "subscription resource type" and "Reduce missing subscriptions and change notifications".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from connectors.api.errors import ConnectorError, NotFound
from connectors.api.types import MailboxRef
from connectors.graph.client import GraphClient
from connectors.graph.notifications import Door, Taker
from connectors.graph.structs import Notification, Page, Subscription
from connectors.transport.messages import Effect

LIFETIME: Final = timedelta(days=2)
"""Graph lets those for messages live for 4,230 minutes, somewhat less than three days."""

CHANGES: Final = "created,updated,deleted"

MAX_STRAY_PAGES: Final = 5
"""Of what an application has subscribed to, so much at most is looked through for what an earlier process left."""

_PAGE: Final = 100
_ROUNDING: Final = timedelta(seconds=2)
_SECRET_OCTETS: Final = 32

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Held:
    """A subscription that is believed to be there. Times are of the day, aware."""

    id: str
    mailbox: MailboxRef
    client_state: str
    renew_at: datetime
    expires_at: datetime

    def extend(self, now: datetime, expires_at: datetime) -> None:
        """Take note that it lives until then; it is renewed when half of that has passed."""
        self.expires_at = expires_at
        self.renew_at = now + (expires_at - now) / 2


class Subscriptions:
    """What is subscribed to. `tell` gets each notification, with the subscription it is of; it must not raise."""

    def __init__(self, client: GraphClient, tell: Callable[[Held, Notification], None]) -> None:
        url = client.settings.notification_url
        assert url is not None, "there is somewhere to be told"
        self._url = url
        self._client = client
        self._clock = client.clock
        self._tell = tell
        self._door: Door | None = None
        self._held: dict[MailboxRef, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, mailbox: MailboxRef) -> Held | None:
        """Return the subscription of a folder, if there is one."""
        return self._held.get(mailbox)

    def all(self) -> list[Held]:
        """Return all, the oldest first."""
        return list(self._held.values())

    def attach(self, door: Door) -> None:
        """Take what comes in at this door from now on."""
        self._door = door
        door.since = door.since or self._clock.now()
        for held in self._held.values():
            self._admit(door, held)

    def detach(self) -> None:
        """Take nothing any more."""
        if self._door is not None:
            for held in self._held.values():
                self._door.dismiss(held.id)
        self._door = None

    async def begin(self, mailbox: MailboxRef) -> Held:
        """Subscribe to a folder. Graph asks at the door meanwhile whether somebody is there.

        Raises:
            Rejected: nobody was, or it cannot be subscribed to.
            Denied, NotFound: it may not be, or there is no such folder.
        """
        now, client_state = self._clock.now(), secrets.token_urlsafe(_SECRET_OCTETS)
        body = {
            "changeType": CHANGES,
            "notificationUrl": self._url,
            "lifecycleNotificationUrl": self._url,
            "resource": self._resource(mailbox),
            "expirationDateTime": _text(now + LIFETIME),
            "clientState": client_state,
        }
        made = await self._client.call("POST", self._address(), body=body, reply=Subscription, effect=Effect.WRITE)
        held = Held(made.id, mailbox, client_state, now, now)
        held.extend(now, made.expiration_date_time or now + LIFETIME)
        self._held[mailbox] = held
        if self._door is not None:
            self._admit(self._door, held)
        return held

    async def renew(self, held: Held) -> None:
        """Let a subscription live longer; Graph checks again whether the login may have it.

        Raises:
            NotFound: it is gone. `Denied` and `Rejected` are as good as that.
        """
        now = self._clock.now()
        body = {"expirationDateTime": _text(now + LIFETIME)}
        renewed = await self._client.call(
            "PATCH", self._address(held.id), body=body, reply=Subscription, effect=Effect.IDEMPOTENT_WRITE
        )
        held.extend(now, renewed.expiration_date_time or now + LIFETIME)

    def drop(self, held: Held) -> None:
        """Forget a subscription that is gone."""
        if self._held.get(held.mailbox) is held:
            del self._held[held.mailbox]
        if self._door is not None:
            self._door.dismiss(held.id)

    async def end(self, held: Held) -> None:
        """End a subscription. Raises ConnectorError; it is kept then."""
        with contextlib.suppress(NotFound):
            await self._client.call("DELETE", self._address(held.id), effect=Effect.IDEMPOTENT_WRITE)
        self.drop(held)

    async def end_all(self) -> None:
        """End all; those that cannot be ended are kept."""
        results = await asyncio.gather(*(self.end(held) for held in self.all()), return_exceptions=True)
        for result in results:
            if isinstance(result, ConnectorError):
                _log.debug("a subscription stays until it expires: %s", result.operator_text)
            elif result is not None:
                raise result

    async def end_strays(self) -> None:
        """End what a process that was killed has left of this mailbox: Graph bounds how many there may be.

        Raises:
            ConnectorError.
        """
        prefix, pages = self._resource_prefix().casefold(), 0
        async with contextlib.aclosing(
            self._client.pages(self._address(), page_size=_PAGE, reply=Page[Subscription])
        ) as read:
            async for page in read:
                for each in page.value:
                    is_own = each.notification_url == self._url
                    is_own = is_own and (each.resource or "").lstrip("/").casefold().startswith(prefix)
                    if is_own and self._is_stray(each):
                        with contextlib.suppress(NotFound):
                            await self._client.call("DELETE", self._address(each.id), effect=Effect.IDEMPOTENT_WRITE)
                pages += 1
                if pages == MAX_STRAY_PAGES:
                    return

    def _is_stray(self, found: Subscription) -> bool:
        """Whether it was made, or renewed last, before anybody waited at this door.

        Another account of this process may be of the same mailbox, and may be about to learn that it has one.
        """
        if self._door is None or self._door.since is None or found.expiration_date_time is None:
            return False
        is_older = found.expiration_date_time < self._door.since + LIFETIME - _ROUNDING
        return is_older and not self._door.knows(found.id)

    def _admit(self, door: Door, held: Held) -> None:
        door.admit(held.id, Taker(held.client_state, lambda notification: self._tell(held, notification)))

    def _address(self, subscription_id: str | None = None) -> str:
        address = self._client.settings.api_root + "/subscriptions"
        return address if subscription_id is None else f"{address}/{quote(subscription_id, safe='')}"

    def _resource_prefix(self) -> str:
        return self._client.settings.mailbox_path.lstrip("/") + "/mailFolders("

    def _resource(self, mailbox: MailboxRef) -> str:
        name = mailbox.replace("'", "''")
        return f"{self._resource_prefix()}'{name}')/messages"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
