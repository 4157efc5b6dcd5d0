"""The event source, in each of its modes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import EventSourceMode, FakeOptions

MESSAGE = b"Subject: x\r\n\r\n"


@asynccontextmanager
async def events(
    client: Client, types: str = "*", closeafter: str = "no", ping: str = "0", last_id: str | None = None
) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Open the event source; the reply has begun when this is entered."""
    url = client.url("eventSourceUrl", types=types, closeafter=closeafter, ping=ping)
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with client.http.stream("GET", url, headers=headers) as reply:
        reply.raise_for_status()
        yield EventSource(reply).aiter_sse()


def changed(event: ServerSentEvent, client: Client) -> dict[str, str]:
    document = json.loads(event.data)
    assert document["@type"] == "StateChange"
    states: dict[str, str] = document["changed"][client.account_id]
    return states


async def test_a_delivery_tells_every_type_that_moved(fake: FakeJmap, client: Client) -> None:
    async with events(client) as stream:
        fake.deliver("INBOX", MESSAGE)
        event = await anext(stream)
    assert event.event == "state"
    names = ("Email", "Mailbox", "Thread", "EmailDelivery")
    assert changed(event, client) == {name: fake.account().state(name) for name in names}
    fake.assert_no_violations()


async def test_only_the_types_asked_for_are_told(fake: FakeJmap, client: Client) -> None:
    async with events(client, types="Mailbox,EmailDelivery") as stream:
        email_id = fake.deliver("INBOX", MESSAGE)
        assert changed(await anext(stream), client).keys() == {"Mailbox", "EmailDelivery"}
        fake.set_keywords(email_id, add=["x"])
        fake.set_keywords(email_id, add=["$seen"])
        assert changed(await anext(stream), client).keys() == {"Mailbox"}


async def test_a_set_by_a_client_is_told_once(fake: FakeJmap, client: Client) -> None:
    ids = [fake.deliver("INBOX", MESSAGE) for _ in range(3)]
    async with events(client, types="Email") as stream:
        await client.call("Email/set", destroy=ids)
        assert changed(await anext(stream), client) == {"Email": fake.account().state("Email")}
        fake.deliver("INBOX", MESSAGE)
        assert changed(await anext(stream), client) == {"Email": fake.account().state("Email")}


async def test_other_users_are_not_told(fake: FakeJmap, client: Client) -> None:
    async with events(client) as stream:
        fake.deliver("INBOX", MESSAGE, user="bob")
        fake.create_mailbox("New")
        assert changed(await anext(stream), client).keys() == {"Mailbox"}


async def test_the_stream_ends_after_a_state_if_asked(fake: FakeJmap, client: Client) -> None:
    async with events(client, closeafter="state") as stream:
        fake.deliver("INBOX", MESSAGE)
        assert [event.event async for event in stream] == ["state"]


async def test_what_was_missed_is_told_on_return(fake: FakeJmap, client: Client) -> None:
    async with events(client) as stream:
        fake.deliver("INBOX", MESSAGE)
        last = await anext(stream)
    fake.deliver("INBOX", MESSAGE)
    fake.deliver("Archive", MESSAGE)
    async with events(client, types="Email", last_id=last.id) as stream:
        assert changed(await anext(stream), client) == {"Email": fake.account().state("Email")}


async def test_an_unknown_last_id_gives_all_states(fake: FakeJmap, client: Client) -> None:
    async with events(client, last_id="p99") as stream:
        assert changed(await anext(stream), client) == fake.all_states(client.user)[client.account_id]


@pytest.mark.parametrize("options", [FakeOptions(ping_min_s=0.01, ping_max_s=0.02)])
async def test_pings_come_with_the_interval_in_force(client: Client) -> None:
    async with events(client, ping="300") as stream:
        for _ in range(2):
            event = await anext(stream)
            assert (event.event, event.id, json.loads(event.data)) == ("ping", "", {"interval": 0.02})


@pytest.mark.parametrize("options", [FakeOptions(event_source=EventSourceMode.NO_PING, ping_max_s=0.01)])
async def test_pings_may_be_missing(fake: FakeJmap, client: Client) -> None:
    async with events(client, ping="1") as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)
    async with events(client, ping="1") as stream:
        fake.deliver("INBOX", MESSAGE)
        assert (await anext(stream)).event == "state"


@pytest.mark.parametrize("options", [FakeOptions(event_source=EventSourceMode.NONE_204)])
async def test_there_may_be_no_content(client: Client) -> None:
    url = client.url("eventSourceUrl", types="*", closeafter="no", ping="30")
    assert (await client.http.get(url)).status_code == 204


@pytest.mark.parametrize("options", [FakeOptions(event_source=EventSourceMode.DIES)])
async def test_the_connection_may_die_after_a_state(fake: FakeJmap, client: Client) -> None:
    async with events(client) as stream:
        fake.deliver("INBOX", MESSAGE)
        assert (await anext(stream)).event == "state"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(stream)


async def test_streams_can_be_cut(fake: FakeJmap, client: Client) -> None:
    async with events(client) as stream:
        fake.drop_connections()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(stream)
    assert fake.push.subscriptions == set()


@pytest.mark.parametrize("options", [FakeOptions(event_source=EventSourceMode.STALLS, ping_max_s=0.01)])
async def test_the_stream_may_stay_silent(fake: FakeJmap, client: Client) -> None:
    async with events(client, ping="1") as stream:
        fake.deliver("INBOX", MESSAGE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)


@pytest.mark.parametrize("options", [FakeOptions(event_source=EventSourceMode.BUFFERING, ping_max_s=0.01)])
async def test_a_buffering_proxy_lets_events_through_at_the_end_only(fake: FakeJmap, client: Client) -> None:
    async with events(client, ping="1") as stream:
        fake.deliver("INBOX", MESSAGE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)
    async with events(client, closeafter="state") as stream:
        fake.deliver("INBOX", MESSAGE)
        assert [event.event async for event in stream] == ["state"]


@pytest.mark.parametrize(
    "variables",
    [
        {"types": ""},
        {"types": "Email,"},
        {"closeafter": "never"},
        {"ping": "soon"},
        {"ping": "-1"},
    ],
)
async def test_wrong_variables_are_refused(fake: FakeJmap, client: Client, variables: dict[str, str]) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        async with events(client, **variables):
            pass
    assert [violation.where for violation in fake.violations] == ["events"]


async def test_a_url_without_variables_is_refused(fake: FakeJmap, client: Client) -> None:
    assert (await client.http.get(client.session["eventSourceUrl"].partition("?")[0])).status_code == 400
    assert len(fake.violations) == 1
