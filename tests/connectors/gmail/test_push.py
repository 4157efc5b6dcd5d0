from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from connectors.api.credentials import BearerCredential, Credential, Secret
from connectors.api.errors import AuthExpired
from connectors.gmail.client import GmailClient
from connectors.gmail.push import MISCONFIGURED_S, PushWatcher
from tests.connectors.gmail.rig import FakeTokens, InProcess, client_of
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.client import ROOT, mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import PUBSUB_SCOPE

WATCH = "gmail.users.watch"
PULL = "pubsub.projects.subscriptions.pull"


class Puller:
    """The tokens of the service account."""

    def __init__(self, fake: FakeGmail, scope: str = PUBSUB_SCOPE) -> None:
        self._fake, self._scope = fake, scope
        self._token = fake.access_token([scope], "")

    async def get(self) -> Credential | None:
        return BearerCredential("", Secret(self._token))

    async def refused(self, credential: Credential) -> None:
        self._token = self._fake.access_token([self._scope], "")


class PausingClock(JumpingClock):
    """Stays in the long pause after something was found to be set up wrongly until `goes_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds == MISCONFIGURED_S:
            self.pauses.set()
            await self.goes_on.wait()
        await super().sleep(seconds)


def watching(
    fake: FakeGmail, clock: JumpingClock, *, subscription: str | None = None, tokens: FakeTokens | None = None
) -> GmailClient:
    return client_of(
        fake,
        clock,
        tokens=tokens,
        topic=fake.options.topic_name,
        subscription=subscription or fake.options.subscription_name,
        pubsub_root=ROOT,
    )


@pytest.fixture
async def watched(fake: FakeGmail, clock: JumpingClock) -> AsyncIterator[GmailClient]:
    client = watching(fake, clock)
    yield client
    await client.close()


def events_of(fake: FakeGmail, client: GmailClient, puller: Puller | None = None) -> AsyncGenerator[None, None]:
    watcher = PushWatcher(client, puller or Puller(fake), transport=InProcess(fake), chance=lambda: 0.0)
    return watcher.events()


async def next_event(events: AsyncGenerator[None, None]) -> None:
    async with asyncio.timeout(10):
        await anext(events)


async def test_a_change_is_told(fake: FakeGmail, clock: JumpingClock, watched: GmailClient) -> None:
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
        coming = asyncio.create_task(next_event(events))
        await fake.pubsub.waited_for.wait()
        assert not coming.done()
        clock.advance(2)
        fake.deliver(mail())
        await coming
    assert fake.pubsub.backlog == 0
    assert fake.stats.calls[WATCH] == 1


async def test_several_notifications_are_one_event(fake: FakeGmail, clock: JumpingClock, watched: GmailClient) -> None:
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
        for _ in range(3):
            clock.advance(2)
            fake.deliver(mail())
        await next_event(events)
        assert fake.pubsub.backlog == 0


async def test_the_watch_is_renewed_daily(fake: FakeGmail, clock: JumpingClock, watched: GmailClient) -> None:
    async with aclosing(events_of(fake, watched)) as events:
        for day in range(1, 4):
            await next_event(events)
            assert fake.stats.calls[WATCH] == day
            clock.advance(86_400)


async def test_a_notification_for_another_account_is_handed_back(
    fake: FakeGmail, clock: JumpingClock, watched: GmailClient
) -> None:
    other = fake.add_user("other@example.com")
    tokens = FakeTokens(fake)
    tokens._token = fake.access_token(user="other@example.com")
    others = watching(fake, clock, tokens=tokens)
    async with aclosing(events_of(fake, watched)) as events, aclosing(events_of(fake, others)) as other_events:
        await next_event(events)
        await next_event(other_events)
        fake.pubsub.publish(other)
        fake.pubsub.publish(fake.mailbox)
        await next_event(events)
        assert fake.pubsub.backlog == 1
        clock.advance(3)
        await next_event(other_events)
        assert fake.pubsub.backlog == 0
    await others.close()


async def test_a_notification_that_nobody_takes_is_dropped(
    fake: FakeGmail, clock: JumpingClock, watched: GmailClient
) -> None:
    fake.pubsub.publish(fake.add_user("gone@example.com"))
    clock.advance(31)
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
    assert fake.pubsub.backlog == 0


async def test_the_age_of_a_notification_goes_by_the_clock_of_google(fake: FakeGmail, clock: JumpingClock) -> None:
    class Ahead(JumpingClock):
        def now(self) -> datetime:
            return clock.now() + timedelta(minutes=2)

    class Dated(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            answer.headers["Date"] = format_datetime(clock.now().astimezone(UTC), usegmt=True)
            return answer

    client = watching(fake, Ahead())
    fake.pubsub.publish(fake.add_user("other@example.com"))
    watcher = PushWatcher(client, Puller(fake), transport=Dated(fake), chance=lambda: 0.0)
    async with aclosing(watcher.events()) as events:
        await next_event(events)
    await client.close()
    assert fake.pubsub.backlog == 1


async def test_what_is_no_notification_is_dropped(fake: FakeGmail, clock: JumpingClock, watched: GmailClient) -> None:
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
        for data in (b"not JSON", b"{}", base64.b64encode(json.dumps([1]).encode())):
            fake.pubsub.publish(fake.mailbox)
            list(fake.pubsub._backlog.values())[-1].data = data
        fake.pubsub.publish(fake.mailbox)
        await next_event(events)
        assert fake.pubsub.backlog == 0


async def test_a_failure_is_waited_out(fake: FakeGmail, clock: JumpingClock, watched: GmailClient) -> None:
    fake.fail_next(PULL, times=10)
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
    assert 2.0 in clock.slept


@pytest.mark.parametrize("cause", ["publish", "scope", "subscription"])
async def test_what_is_set_up_wrongly_is_logged_and_tried_again_later(
    fake: FakeGmail, caplog: pytest.LogCaptureFixture, cause: str
) -> None:
    caplog.set_level(logging.WARNING, "connectors.gmail")
    clock = PausingClock()
    subscription = "projects/fake-project/subscriptions/none" if cause == "subscription" else None
    client = watching(fake, clock, subscription=subscription)
    fake.pubsub.can_publish = cause != "publish"
    puller = Puller(fake, "https://mail.google.com/") if cause == "scope" else Puller(fake)
    async with aclosing(events_of(fake, client, puller)) as events:
        coming = asyncio.create_task(next_event(events))
        await clock.pauses.wait()
        if cause == "publish":
            fake.pubsub.can_publish = True
            clock.goes_on.set()
            await coming
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
    assert caplog.messages[0].startswith("no push from Gmail: ")
    await client.close()


async def test_an_ended_login_to_the_mail_is_raised(fake: FakeGmail, clock: JumpingClock) -> None:
    tokens = FakeTokens(fake)
    tokens.is_exhausted = True
    client = watching(fake, clock, tokens=tokens)
    fake.expire_access_tokens()
    with pytest.raises(AuthExpired):
        await next_event(events_of(fake, client))
    await client.close()


async def test_watching_ends_with_the_client(fake: FakeGmail, watched: GmailClient) -> None:
    async with aclosing(events_of(fake, watched)) as events:
        await next_event(events)
        coming = asyncio.create_task(anext(events, "end"))
        await fake.pubsub.waited_for.wait()
        await watched.close()
        async with asyncio.timeout(10):
            assert await coming == "end"
