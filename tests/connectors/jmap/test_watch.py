"""Whoever listens hears of changes as long as the server can tell, and polls in peace where it cannot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest

from connectors.api.errors import AuthExpired, ConnectorError, Denied, RateLimited, Unavailable, Unsupported
from connectors.jmap import watch
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, Channel, Pace
from connectors.jmap.settings import PushKind
from connectors.jmap.structs import StateChange
from connectors.jmap.watch import PATIENCE, Watcher
from tests.connectors.jmap.offline import SkippingClock
from tests.connectors.jmap.sockets import socket_server
from tests.connectors.jmap.streams import QUICK, Stream, client_of, event_server

Told = StateChange | ConnectorError | float
"""What a made-up channel does next: tell, fail, or let seconds pass."""


def change(state: str) -> StateChange:
    return StateChange(changed={"A1": {"Email": state}})


class ScriptedChannel:
    """Each time it is opened it does what the next list says; after the last it stays open and silent."""

    def __init__(self, name: str, clock: SkippingClock, *openings: Sequence[Told]) -> None:
        self.name = name
        self.pause_s = 0.0
        self.opened = 0
        self._clock = clock
        self._openings = openings

    async def listen(self) -> AsyncGenerator[StateChange, None]:
        self.opened += 1
        if self.opened > len(self._openings):
            await asyncio.Event().wait()
        for told in self._openings[self.opened - 1]:
            match told:
                case ConnectorError():
                    raise told
                case StateChange():
                    yield told
                case _:
                    self._clock.advance(told)


class StubClient:
    """What a watcher needs of a client."""

    account_id = "A1"

    def __init__(self) -> None:
        self.clock = SkippingClock()
        self.closed = asyncio.Event()


@pytest.fixture
def client() -> StubClient:
    return StubClient()


def watching(
    client: StubClient, monkeypatch: pytest.MonkeyPatch, *channels: ScriptedChannel
) -> AsyncGenerator[StateChange, None]:
    def made(_client: JmapClient, _pace: Pace) -> list[Channel]:
        return list(channels)

    monkeypatch.setattr(watch, "_channels", made)
    return Watcher(client, chance=lambda: 0.0).events()  # type: ignore[arg-type]


async def first(events: AsyncGenerator[StateChange, None], count: int) -> list[StateChange]:
    return [await anext(events) for _ in range(count)]


async def rest(events: AsyncGenerator[StateChange, None], client: StubClient) -> list[StateChange]:
    """Close the client once nothing more is told, and return what was."""
    found: list[StateChange] = []

    async def collect() -> None:
        async for told in events:
            found.append(told)

    collecting = asyncio.create_task(collect())
    for _ in range(200):
        await asyncio.sleep(0)
    client.closed.set()
    await collecting
    return found


async def test_each_opening_and_each_news_is_told(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ScriptedChannel(
        "one",
        client.clock,
        [ANYTHING, change("7"), change("7"), Unavailable("lost")],
        [ANYTHING, change("7"), change("8")],
        [ANYTHING],
    )
    events = watching(client, monkeypatch, channel)
    assert await rest(events, client) == [ANYTHING, change("7"), ANYTHING, change("8"), ANYTHING]
    assert channel.opened == 4


async def test_failures_are_repeated_ever_more_slowly(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ScriptedChannel("one", client.clock, *([[Unavailable("down")]] * 12))
    await rest(watching(client, monkeypatch, channel), client)
    assert client.clock.slept == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


async def test_a_server_that_opens_and_ends_at_once_is_not_asked_in_a_loop(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = ScriptedChannel("one", client.clock, *([[ANYTHING, change("7")]] * 6))
    await rest(watching(client, monkeypatch, channel), client)
    assert client.clock.slept == [1, 2, 4, 8, 16, 32]


async def test_a_channel_that_told_something_or_lived_long_is_opened_soon(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings: list[list[Told]] = [[ANYTHING, change(str(number))] for number in range(3)]
    openings += [[Unavailable("down")], [Unavailable("down")], [ANYTHING, 3600.0, Unavailable("lost")]]
    channel = ScriptedChannel("one", client.clock, *openings)
    await rest(watching(client, monkeypatch, channel), client)
    assert client.clock.slept == [1, 1, 1, 2, 4, 1]


async def test_the_time_that_the_server_asks_for_is_waited(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ScriptedChannel("one", client.clock, [RateLimited("slow down", retry_after_s=900.0)])
    await rest(watching(client, monkeypatch, channel), client)
    assert client.clock.slept == [900]


async def test_the_pause_that_a_server_wants_is_kept(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ScriptedChannel("one", client.clock, *([[Unavailable("down")]] * 4))
    channel.pause_s = 3.0
    await rest(watching(client, monkeypatch, channel), client)
    assert client.clock.slept == [3, 3, 4, 8]


async def test_the_next_channel_is_taken_where_one_does_not_exist(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = ScriptedChannel("one", client.clock, [Unsupported("none")])
    other = ScriptedChannel("two", client.clock, [ANYTHING, change("7")])
    assert await first(watching(client, monkeypatch, missing, other), 2) == [ANYTHING, change("7")]
    assert missing.opened == 1
    assert client.clock.slept == []


async def test_the_next_channel_is_taken_where_one_cannot_be_opened(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = ScriptedChannel("one", client.clock, *([[Unavailable("blocked")]] * 9))
    other = ScriptedChannel("two", client.clock, [ANYTHING])
    assert await first(watching(client, monkeypatch, blocked, other), 1) == [ANYTHING]
    assert blocked.opened == PATIENCE


async def test_a_channel_that_once_opened_is_not_given_up(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    shaky = ScriptedChannel("one", client.clock, [ANYTHING], *([[Unavailable("down")]] * 9), [ANYTHING])
    other = ScriptedChannel("two", client.clock, [ANYTHING])
    assert await first(watching(client, monkeypatch, shaky, other), 2) == [ANYTHING, ANYTHING]
    assert (shaky.opened, other.opened) == (11, 0)


async def test_a_channel_that_once_opened_and_is_missing_is_looked_for_again(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaky = ScriptedChannel("one", client.clock, [ANYTHING], [Unsupported("404")], [Denied("403")], [ANYTHING])
    assert await first(watching(client, monkeypatch, shaky), 2) == [ANYTHING, ANYTHING]
    assert client.clock.slept == [1, 2, 4]


async def test_without_any_channel_nothing_is_told_or_asked_until_the_client_closes(
    client: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = ScriptedChannel("one", client.clock, [Unsupported("none")])
    assert await rest(watching(client, monkeypatch, missing), client) == []
    assert missing.opened == 1
    assert client.clock.slept == []


async def test_refused_credentials_are_for_the_caller(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ScriptedChannel("one", client.clock, [AuthExpired("no")])
    with pytest.raises(AuthExpired):
        await anext(watching(client, monkeypatch, channel))


async def test_listening_can_be_given_up_at_any_time(client: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    events = watching(client, monkeypatch, ScriptedChannel("one", client.clock, [ANYTHING]))
    await first(events, 1)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await events.aclose()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


# -- over real sockets ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def events_of(client: JmapClient) -> AsyncIterator[AsyncGenerator[StateChange, None]]:
    async with contextlib.aclosing(Watcher(client, QUICK).events()) as events:
        yield events


async def tells_and_ends(stream: Stream) -> None:
    await stream.begin()
    await stream.state({"A1": {"Email": stream.headers.get("last-event-id", "") + "x"}}, id="i")


async def hangs(stream: Stream) -> None:
    await stream.begin()
    await stream.hang()


async def test_a_stream_that_is_cut_is_opened_anew() -> None:
    async with (
        event_server(tells_and_ends, tells_and_ends, hangs) as server,
        client_of(server.url) as client,
        events_of(client) as events,
    ):
        assert await first(events, 4) == [ANYTHING, change("x"), ANYTHING, change("ix")]


async def test_a_stream_ends_when_the_client_is_closed() -> None:
    async with event_server(hangs) as server, client_of(server.url) as client, events_of(client) as events:
        assert await first(events, 1) == [ANYTHING]
        ending = asyncio.ensure_future(anext(events, None))
        await client.close()
        assert await ending is None


async def test_a_websocket_is_preferred() -> None:
    async def script(connection: Any) -> None:
        await connection.send('{"@type":"StateChange","changed":{"A1":{"Email":"7"}}}')
        await connection.wait_closed()

    async with (
        socket_server(script) as server,
        client_of(server.url, PushKind.AUTO) as client,
        events_of(client) as events,
    ):
        assert await first(events, 2) == [ANYTHING, change("7")]


async def test_push_that_is_off_asks_for_nothing() -> None:
    async with (
        event_server(hangs) as server,
        client_of(server.url, PushKind.OFF) as client,
        events_of(client) as events,
    ):
        ending = asyncio.ensure_future(anext(events, None))
        await asyncio.sleep(0)
        await client.close()
        assert await ending is None
    assert server.streams == []
