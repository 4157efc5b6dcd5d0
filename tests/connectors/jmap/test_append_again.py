"""A message that the server fails to take, for no fault of its own, is offered again, and stored once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.errors import Rejected, Unavailable
from connectors.api.types import BytesContent, Role
from connectors.jmap.connector import JmapConnector
from connectors.jmap.settings import JmapSettings
from connectors.transport.clock import Clock
from tests.connectors.jmap.offline import SkippingClock
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus

MESSAGE = b"From: a@example.com\r\nSubject: x\r\n\r\nx\r\n"


@contextlib.asynccontextmanager
async def opened(url: str, username: str, password: str, clock: Clock | None = None) -> AsyncIterator[JmapConnector]:
    credential = PasswordCredential(username, Secret(password))
    connector = JmapConnector(JmapSettings(url=url), FixedCredential(credential), clock=clock)
    try:
        await connector.open()
        yield connector
    finally:
        await connector.close()


async def append(connector: JmapConnector, data: bytes = MESSAGE) -> None:
    inbox = next(info.ref for info in await connector.list_mailboxes() if info.role is Role.INBOX)
    await connector.append(inbox, BytesContent(data), frozenset(), None)


@contextlib.asynccontextmanager
async def at_stand_in() -> AsyncIterator[tuple[FakeJmap, JmapConnector]]:
    async with running_fake() as fake:
        user = fake.options.users[0]
        async with opened(fake.url, user.name, user.password, SkippingClock()) as connector:
            yield fake, connector


@pytest.mark.parametrize("error", ["blobNotFound", "serverFail", "serverUnavailable"])
async def test_a_failing_import_is_tried_again_and_stores_one_message(error: str) -> None:
    async with at_stand_in() as (fake, connector):
        fake.fail_next("Email/import", "set-error", error=error, times=2)
        await append(connector)
        assert [email.content.data for email in fake.emails_in("INBOX")] == [MESSAGE]
        assert fake.stats.requests["upload"] == 3


async def test_an_import_that_goes_on_failing_is_told() -> None:
    async with at_stand_in() as (fake, connector):
        fake.fail_next("Email/import", "set-error", error="serverFail", times=None)
        with pytest.raises(Unavailable):
            await append(connector)
        assert fake.emails_in("INBOX") == []


async def test_a_message_that_is_refused_is_not_offered_again() -> None:
    async with at_stand_in() as (fake, connector):
        fake.fail_next("Email/import", "set-error", error="invalidEmail")
        with pytest.raises(Rejected):
            await append(connector)
        assert fake.stats.requests["upload"] == 1


async def test_cyrus_takes_the_very_first_messages_of_a_login_all_at_once(cyrus: Cyrus) -> None:
    async with opened(cyrus.jmap_url, cyrus.fresh_user(), cyrus.password) as connector:
        await asyncio.gather(*(append(connector, MESSAGE + str(number).encode()) for number in range(10)))
