"""Server-sent events over real sockets: what comes is told, what is lost is opened anew, what is silent is given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import AuthExpired, RateLimited, Unavailable, Unsupported
from connectors.jmap.events import ANYTHING, Pace
from connectors.jmap.eventsource import MAX_EVENT_OCTETS, EventSourceChannel
from connectors.jmap.structs import StateChange
from tests.connectors.jmap.streams import QUICK, Script, Stream, client_of, event_server

PATIENT = Pace()


def change(state: str) -> StateChange:
    return StateChange(changed={"A1": {"Email": state}})


async def heard(channel: EventSourceChannel) -> list[StateChange]:
    """Listen until the channel is lost, and return what it told."""
    return [told async for told in channel.listen()]


async def ends(stream: Stream) -> None:
    await stream.begin()


async def hangs(stream: Stream) -> None:
    await stream.begin()
    await stream.hang()


async def is_mute(stream: Stream) -> None:
    await stream.hang()


def sends(text: str) -> Script:
    async def script(stream: Stream) -> None:
        await stream.begin()
        await stream.send(text)

    return script


async def tells_of_7(stream: Stream) -> None:
    await stream.begin()
    await stream.state({"A1": {"Email": "7"}}, id="id-7")


@contextlib.asynccontextmanager
async def channel_to(
    *scripts: Script, pace: Pace = PATIENT, **session: object
) -> AsyncIterator[tuple[EventSourceChannel, list[Stream]]]:
    async with event_server(*scripts, **session) as server, client_of(server.url) as client:
        yield EventSourceChannel(client, pace), server.streams


async def test_changes_are_told_after_the_stream_was_opened() -> None:
    async with channel_to(tells_of_7) as (channel, streams):
        assert await heard(channel) == [ANYTHING, change("7")]
    (stream,) = streams
    assert stream.query == {"types": "Email,Mailbox", "closeafter": "no", "ping": "60"}
    assert stream.headers["accept"] == "text/event-stream"
    assert stream.headers["authorization"].startswith("Basic ")
    assert "last-event-id" not in stream.headers


async def test_the_last_event_id_goes_along_when_the_stream_is_opened_anew() -> None:
    async with channel_to(tells_of_7, ends, sends("id: 8\n\n"), ends) as (channel, streams):
        for _ in range(4):
            await heard(channel)
    assert [stream.headers.get("last-event-id") for stream in streams] == [None, "id-7", "id-7", "8"]


async def test_an_event_in_pieces_and_with_any_line_ends_is_read() -> None:
    async def script(stream: Stream) -> None:
        await stream.begin()
        text = 'event: state\r\ndata: {"changed":\r\ndata: {"A1":{"Email":"7"}}}\r\n\r\n: a comment\r\n\r\n'
        for char in text:
            await stream.send(char)

    async with channel_to(script) as (channel, _streams):
        assert await heard(channel) == [ANYTHING, change("7")]


async def test_pings_and_unknown_events_are_no_changes() -> None:
    text = 'event: ping\ndata: {"interval": 30}\n\nevent: other\ndata: {}\n\ndata: not JSON\n\n'
    async with channel_to(sends(text)) as (channel, _streams):
        assert await heard(channel) == [ANYTHING]


async def test_a_change_that_cannot_be_read_may_be_anything() -> None:
    async with channel_to(sends("event: state\ndata: nonsense\n\n")) as (channel, _streams):
        assert await heard(channel) == [ANYTHING, ANYTHING]


async def test_the_pause_that_the_server_wants_is_remembered_within_reason() -> None:
    async with channel_to(sends("retry: 7500\n\n"), sends("retry: 99999999\n\n"), ends) as (channel, _streams):
        pauses = []
        for _ in range(3):
            await heard(channel)
            pauses.append(channel.pause_s)
    assert pauses == [7.5, PATIENT.longest_s, PATIENT.longest_s]


async def test_an_event_without_end_is_not_kept() -> None:
    async with channel_to(sends("data: " + "x" * (MAX_EVENT_OCTETS + 1))) as (channel, _streams):
        with pytest.raises(Unavailable, match="more than"):
            await heard(channel)


@pytest.mark.parametrize("status", [204, 400, 403, 404, 405, 501])
async def test_a_server_without_push_says_so(status: int) -> None:
    async with channel_to(lambda stream: stream.refuse(status)) as (channel, streams):
        with pytest.raises(Unsupported, match=str(status)):
            await heard(channel)
    assert len(streams) == 1


async def test_what_is_no_stream_of_events_is_no_push() -> None:
    async with channel_to(lambda stream: stream.begin("text/html")) as (channel, _streams):
        with pytest.raises(Unsupported, match="text/html"):
            await heard(channel)


async def test_a_session_without_event_source_is_no_push() -> None:
    async with channel_to(ends, eventSourceUrl=None) as (channel, streams):
        with pytest.raises(Unsupported):
            await heard(channel)
    assert not streams


async def test_refused_credentials_want_a_new_login() -> None:
    async with channel_to(lambda stream: stream.refuse(401)) as (channel, _streams):
        with pytest.raises(AuthExpired):
            await heard(channel)


async def test_a_server_that_asks_for_patience_is_heard() -> None:
    async with channel_to(lambda stream: stream.refuse(429, "Retry-After: 3600\r\n")) as (channel, _streams):
        with pytest.raises(RateLimited) as caught:
            await heard(channel)
    assert caught.value.retry_after_s == 3600


async def test_a_silent_stream_is_given_up() -> None:
    async with channel_to(hangs, pace=QUICK) as (channel, _streams):
        with pytest.raises(Unavailable, match="nothing came"):
            await heard(channel)


async def test_a_server_that_pings_less_often_than_asked_is_waited_for() -> None:
    async def takes_its_time(stream: Stream) -> None:
        await sends('event: ping\ndata: {"interval": 300}\n\n')(stream)
        await asyncio.sleep(2 * QUICK.silence_s)
        await stream.state({"A1": {"Email": "7"}})

    async with channel_to(takes_its_time, pace=QUICK) as (channel, _streams):
        assert await heard(channel) == [ANYTHING, change("7")]


@pytest.mark.parametrize("script", [hangs, is_mute])
async def test_streams_that_stay_wholly_silent_are_asked_to_end_after_each_change(script: Script) -> None:
    async with channel_to(script, script, tells_of_7, pace=QUICK) as (channel, streams):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await heard(channel)
        assert await heard(channel) == [ANYTHING, change("7")]
    assert [stream.query["closeafter"] for stream in streams] == ["no", "no", "state"]


async def test_a_stream_that_brought_something_is_not_suspected() -> None:
    async def pings_once(stream: Stream) -> None:
        await sends("event: ping\ndata: {}\n\n")(stream)
        await stream.hang()

    async with channel_to(hangs, pings_once, hangs, ends, pace=QUICK) as (channel, streams):
        for _ in range(3):
            with pytest.raises(Unavailable):
                await heard(channel)
        await heard(channel)
    assert [stream.query["closeafter"] for stream in streams] == ["no"] * 4


async def test_streams_that_are_cut_at_once_are_not_suspected() -> None:
    async with channel_to(ends) as (channel, streams):
        for _ in range(4):
            await heard(channel)
    assert [stream.query["closeafter"] for stream in streams] == ["no"] * 4
