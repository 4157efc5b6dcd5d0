"""Learning of changes at once: Gmail publishes them to a Pub/Sub topic, and a subscription to that is pulled.

Several accounts may share a subscription, in one process or many: each notification then reaches one of them, which
may be the wrong one, and is handed back for another. What nobody takes is dropped before long. Notifications are hints;
Gmail drops some itself, and polling is the floor.
Source: Google, "Configure push notifications in Gmail API"; the discovery document pubsub.v1.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import httpx
import msgspec

from connectors.api.credentials import CredentialSource
from connectors.api.errors import AuthExpired, ConnectorError, Denied, NotFound, RateLimited, Rejected
from connectors.gmail.client import GmailClient
from connectors.gmail.errors import Refusal
from connectors.gmail.methods import (
    GET_PROFILE,
    PUBSUB_ACKNOWLEDGE,
    PUBSUB_MODIFY_ACK_DEADLINE,
    PUBSUB_PULL,
    WATCH,
    Method,
)
from connectors.gmail.sending import REFUSALS, decode, encode, transport_options
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import (
    NoReply,
    Notification,
    Profile,
    PullReply,
    ReceivedMessage,
    WatchReply,
    decode_base64url,
)
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.clock import Clock
from connectors.transport.closing import unless_closed
from connectors.transport.messages import SUCCESS, Request
from connectors.transport.retry import RetryPolicy
from connectors.transport.retry_after import server_time

T = TypeVar("T")

RENEWAL_S: Final = 24 * 3600.0
"""How often the watch is renewed: the guide says daily. It would end after seven days."""

PULL_S: Final = 300.0
"""How long a pull may wait for news; the server ends it before."""

MOST_MESSAGES: Final = 100

FOREIGN_PAUSE_S: Final = 3
"""A notification for another account is handed out again after so long, to whoever pulls then."""

FOREIGN_AGE: Final = timedelta(seconds=30)
"""A notification for another account that is older is dropped: nobody has taken it."""

MISCONFIGURED_S: Final = 3600.0
"""How long to wait where topic, subscription or rights are wrong: a person has to mend that."""

_PAUSES: Final = RetryPolicy(first_s=2.0, max_s=300.0)

_log = logging.getLogger(__name__)


class PubSub:
    """One subscription."""

    def __init__(
        self,
        settings: GmailSettings,
        credentials: CredentialSource,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        assert settings.subscription is not None, "there is a subscription"
        self._settings = settings
        self._subscription = settings.subscription
        self._clock = clock
        authoriser = CredentialAuthoriser(credentials, [settings.pubsub_root])
        self._http = HttpClient("gmail push", authoriser, transport_options(settings), clock=clock, transport=transport)

    async def pull(self) -> tuple[Sequence[ReceivedMessage], datetime]:
        """Wait for messages and return them, none if none came, and when that was by Google's clock."""
        asked = {"maxMessages": MOST_MESSAGES}
        reply, answered = await self._dated(PUBSUB_PULL, asked, PullReply, PULL_S)
        return reply.received_messages, answered

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Say that the messages need not be handed out again."""
        if ack_ids:
            await self._post(PUBSUB_ACKNOWLEDGE, {"ackIds": list(ack_ids)}, NoReply)

    async def hand_back(self, ack_ids: Sequence[str]) -> None:
        """Let the messages be handed out again, in a moment."""
        if ack_ids:
            body = {"ackIds": list(ack_ids), "ackDeadlineSeconds": FOREIGN_PAUSE_S}
            await self._post(PUBSUB_MODIFY_ACK_DEADLINE, body, NoReply)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, method: Method, body: object, reply: type[T]) -> T:
        return (await self._dated(method, body, reply))[0]

    async def _dated(
        self, method: Method, body: object, reply: type[T], timeout_s: float | None = None
    ) -> tuple[T, datetime]:
        """Return the reply, and when it was made by Google's clock."""
        what = f"Pub/Sub's {method.name}"
        request = Request(
            method.verb,
            self._settings.pubsub_root + method.target({"subscription": self._subscription}),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            content=encode(body),
            effect=method.effect,
            accept=SUCCESS | REFUSALS,
            timeout_s=timeout_s,
        )
        try:
            answer = await self._http.request(request)
        except AuthExpired as exc:
            # The key of whoever runs the gateway, not the login to the mail.
            raise Denied(exc.operator_text) from exc
        if answer.status not in SUCCESS:
            raise Refusal.read(answer.status, answer.headers, answer.body, self._clock.now()).error(what, method.effect)
        # Where nothing is to be said, Pub/Sub says `{}`.
        return decode(answer.body, reply, what, method.effect), server_time(answer.headers, self._clock.now())


class PushWatcher:
    """Tells when the mail of one account has changed. `chance` gives random numbers in 0..1."""

    def __init__(
        self,
        client: GmailClient,
        credentials: CredentialSource,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare to watch; `credentials` are those for Pub/Sub. The client's settings name topic and subscription."""
        self._client = client
        self._credentials = credentials
        self._transport = transport
        self._chance = chance
        self._address = ""
        self._renew_at = 0.0

    async def events(self) -> AsyncGenerator[None, None]:
        """Yield whenever something has changed, and soon after the beginning. Ends when the client is closed.

        Raises:
            AuthExpired: the login to the mail is no longer good. What is wrong with Pub/Sub is logged, and tried again.
        """
        client = self._client
        pubsub = PubSub(client.settings, self._credentials, client.clock, self._transport)
        closed = asyncio.create_task(client.closed.wait(), name="gmail closed")
        failed = 0
        try:
            while not closed.done():
                try:
                    await self._watch()
                    has_news = await unless_closed(closed, self._news(pubsub))
                except AuthExpired:
                    raise
                except ConnectorError as error:
                    failed += 1
                    await unless_closed(closed, client.clock.sleep(self._pause(error, failed)))
                else:
                    failed = 0
                    if has_news:
                        yield
        finally:
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
            await pubsub.close()

    async def _watch(self) -> None:
        """Ask Gmail to publish the changes, if that was not done for a day."""
        clock = self._client.clock
        if self._address and clock.monotonic() < self._renew_at:
            return
        profile = await self._client.call(GET_PROFILE, reply=Profile)
        await self._client.call(WATCH, body={"topicName": self._client.settings.topic}, reply=WatchReply)
        self._address = profile.email_address
        self._renew_at = clock.monotonic() + RENEWAL_S

    async def _news(self, pubsub: PubSub) -> bool:
        """Wait for notifications; tell whether one was for this account."""
        own: list[str] = []
        dropped: list[str] = []
        foreign: list[str] = []
        messages, now = await self._pulled(pubsub)
        for received in messages:
            address = _address_of(received)
            if address is not None and address.casefold() == self._address.casefold():
                own.append(received.ack_id)
            elif address is None or _is_old(received, now):
                dropped.append(received.ack_id)
            else:
                foreign.append(received.ack_id)
        await pubsub.acknowledge([*own, *dropped])
        await pubsub.hand_back(foreign)
        return bool(own)

    async def _pulled(self, pubsub: PubSub) -> tuple[Sequence[ReceivedMessage], datetime]:
        """Return what came and when; wait no longer than until the watch is to be renewed."""
        try:
            async with asyncio.timeout(max(self._renew_at - self._client.clock.monotonic(), 1.0)):
                return await pubsub.pull()
        except TimeoutError:
            return (), self._client.clock.now()

    def _pause(self, error: ConnectorError, failed: int) -> float:
        """Return how long to wait after so many errors, the last of which was this."""
        if isinstance(error, (Denied, NotFound, Rejected)):
            _log.warning("no push from Gmail: %s", error.operator_text)
            return MISCONFIGURED_S
        _log.info("push from Gmail is interrupted: %s", error.operator_text)
        delay_s = _PAUSES.delay(failed, self._chance())
        return max(delay_s, error.retry_after_s) if isinstance(error, RateLimited) else delay_s


def _address_of(received: ReceivedMessage) -> str | None:
    """Return whose mail has changed; None if the message does not come from Gmail."""
    try:
        return msgspec.json.decode(decode_base64url(received.message.data), type=Notification).email_address
    except (msgspec.MsgspecError, ValueError):
        return None


def _is_old(received: ReceivedMessage, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(received.message.publish_time) > FOREIGN_AGE
    except (ValueError, TypeError):
        return True
