"""Being told of changes by server-sent events (RFC 8620 section 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import httpx
import httpx_sse

from connectors.api.errors import Unavailable, Unsupported
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, TYPES, Pace, parse_ping_interval, parse_state_change
from connectors.jmap.structs import StateChange
from connectors.transport.client import StreamedReply
from connectors.transport.messages import Effect, Request

_log = logging.getLogger(__name__)

MAX_EVENT_OCTETS = 1 << 20
_PATIENCE = 2
"""How many streams must stay wholly silent in a row before something in between is suspected of holding them back."""

_NO_PUSH = frozenset({204, 400, 403, 404, 405, 406, 410, 415, 501})
_LONGEST_PING_S = 900.0
_SILENT_PINGS = 2.5


class EventSourceChannel:
    """One stream at a time; remembers the last event id between streams."""

    name = "event source"
    pause_s = 0.0

    def __init__(self, client: JmapClient, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._last_id = ""
        self._silent = 0
        self._closes_after_state = False

    @property
    def closes_after_state(self) -> bool:
        """Whether the server is asked to end the stream after each change, so that what is between passes it on."""
        return self._closes_after_state

    async def listen(self) -> AsyncGenerator[StateChange, None]:
        """Open a stream and yield what comes; see `Channel.listen`."""
        request = await self._request()
        octets = _Octets(self._silence_s)
        begun = self._client.clock.monotonic()
        try:
            async with contextlib.aclosing(self._stream(request, octets)) as changes:
                async for change in changes:
                    yield change
        except TimeoutError as exc:
            self._learn(octets, self._client.clock.monotonic() - begun)
            raise Unavailable(f"nothing came from the event source for {octets.silence_s:g} s") from exc
        except Unavailable:
            self._learn(octets, self._client.clock.monotonic() - begun)
            raise
        self._learn(octets, self._client.clock.monotonic() - begun)

    async def _stream(self, request: Request, octets: _Octets) -> AsyncGenerator[StateChange, None]:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(octets.silence_s):
                reply = await stack.enter_async_context(self._client.http.stream(request))
            _check(reply)
            octets.chunks = await stack.enter_async_context(contextlib.aclosing(reply.chunks()))
            events = await stack.enter_async_context(contextlib.aclosing(_events(octets)))
            yield ANYTHING
            async for event in events:
                octets.begin_event()
                change = self._understood(event, octets)
                if change is not None:
                    yield change

    async def _request(self) -> Request:
        view = await self._client.refresh()
        url = view.endpoints.event_source(TYPES, closes_after_state=self._closes_after_state, ping_s=self._pace.ping_s)
        if url is None:
            raise Unsupported("the session names no event source")
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        return Request(
            "GET",
            url,
            headers=headers,
            effect=Effect.READ,
            accept=frozenset({200}) | _NO_PUSH,
            # Silence is measured here, by the interval that the server says it pings at.
            timeout_s=max(2 * self._pace.buffered_s, 2 * _LONGEST_PING_S * _SILENT_PINGS),
            is_long_lived=True,
        )

    @property
    def _silence_s(self) -> float:
        return self._pace.buffered_s if self._closes_after_state else self._pace.silence_s

    def _understood(self, event: httpx_sse.ServerSentEvent, octets: _Octets) -> StateChange | None:
        if event.id.isascii() and event.id.isprintable():
            self._last_id = event.id or self._last_id
        if event.retry is not None:
            self.pause_s = min(max(event.retry / 1000, 0.0), self._pace.longest_s)
        if event.event == "ping":
            interval_s = parse_ping_interval(event.data)
            if interval_s is not None and not self._closes_after_state:
                octets.silence_s = max(self._pace.silence_s, min(interval_s, _LONGEST_PING_S) * _SILENT_PINGS)
            return None
        if event.event not in ("state", "message", "") or not event.data:
            return None
        change = parse_state_change(event.data)
        if change is None:
            _log.debug("the event source sent a state that cannot be read")
            return ANYTHING if event.event == "state" else None
        return change

    def _learn(self, octets: _Octets, lasted_s: float) -> None:
        """Ask for streams that end after each change once nothing at all comes through, not even a ping.

        Something in between may have lost its patience before we do, so that half a ping's time counts.
        """
        if octets.has_brought:
            self._silent = 0
        elif lasted_s >= min(self._pace.ping_s / 2, octets.silence_s):
            self._silent += 1
            if self._silent >= _PATIENCE and not self._closes_after_state:
                _log.info("nothing comes from the event source; asking it to end after each change")
                self._closes_after_state = True


class _Octets(httpx.AsyncByteStream):
    """The octets of the stream, each wait for more bounded, and so is the length of one event."""

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.chunks: AsyncIterator[bytes] | None = None
        self.has_brought = False
        self._since_event = 0

    def begin_event(self) -> None:
        self._since_event = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        assert self.chunks is not None
        async with asyncio.timeout(self.silence_s):
            chunk = await anext(self.chunks)
        self.has_brought = True
        self._since_event += len(chunk)
        if self._since_event > MAX_EVENT_OCTETS:
            raise Unavailable(f"the event source sent an event of more than {MAX_EVENT_OCTETS} octets")
        return chunk


def _check(reply: StreamedReply) -> None:
    """Return if the reply is a stream of events.

    Raises:
        Unsupported: the server has none for us; 204 asks not to come again (WHATWG HTML, server-sent events).
    """
    if reply.status != 200:
        raise Unsupported(f"the event source answered {reply.status}")
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise Unsupported(f"the event source sends {kind[:60]!r}, which is no stream of events")


def _events(octets: _Octets) -> AsyncGenerator[httpx_sse.ServerSentEvent, None]:
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=octets)
    return httpx_sse.EventSource(response).aiter_sse()
