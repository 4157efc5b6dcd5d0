"""The event source (RFC 8620 section 7.3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from tests.fakes.jmap.connections import Connections
from tests.fakes.jmap.options import EventSourceMode, FakeUser
from tests.fakes.jmap.push import Dropped, Event, Subscription

if TYPE_CHECKING:
    from tests.fakes.jmap.fake import FakeJmap

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(fake: FakeJmap, connections: Connections, request: Request, user: FakeUser) -> Response:
    """Answer a request for events in the way that the options say."""
    query = request.query_params
    reason = _wrong(query)
    if reason is not None:
        fake.violation("events", reason)
        return PlainTextResponse(reason, 400)
    if fake.options.event_source is EventSourceMode.NONE_204:
        return Response(status_code=204)
    types = None if query["types"] == "*" else query["types"].split(",")
    subscription = Subscription(fake.accounts_of(user), types)
    last_id = request.headers.get("last-event-id")
    fake.push.subscriptions.add(subscription)
    if last_id and not fake.push.replay(subscription, last_id):
        subscription.offer(Event(fake.push.state_id, fake.all_states(user)))
    stream = _Stream(fake, connections, request, subscription, query["closeafter"] == "state", _interval(fake, query))
    return StreamingResponse(stream.chunks(), media_type="text/event-stream", headers=HEADERS)


def _wrong(query: Mapping[str, str]) -> str | None:
    """Return what is wrong with the variables of the URL, if anything."""
    if not query.get("types") or "" in query["types"].split(","):
        return f"types {query.get('types')!r}"
    if query.get("closeafter") not in ("state", "no"):
        return f"closeafter {query.get('closeafter')!r}"
    if not query.get("ping", "").isdecimal():
        return f"ping {query.get('ping')!r}"
    return None


def _interval(fake: FakeJmap, query: Mapping[str, str]) -> float | None:
    asked = int(query["ping"])
    options = fake.options
    return None if asked == 0 else min(max(float(asked), options.ping_min_s), options.ping_max_s)


class _Stream:
    """One client's stream of events."""

    def __init__(
        self,
        fake: FakeJmap,
        connections: Connections,
        request: Request,
        subscription: Subscription,
        closes_after_state: bool,
        ping_s: float | None,
    ) -> None:
        self.fake = fake
        self.connections = connections
        self.request = request
        self.subscription = subscription
        self.closes_after_state = closes_after_state
        self.ping_s = ping_s

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield events until the client goes or the stream is to end."""
        mode = self.fake.options.event_source
        self.connections.push_streams += 1
        held: list[bytes] = []
        try:
            async for text in self._events(mode):
                if mode is EventSourceMode.BUFFERING:
                    held.append(text)
                else:
                    yield text
            yield b"".join(held)
        except Dropped:
            self.connections.close(self.request)
            await asyncio.Event().wait()
        finally:
            self.connections.push_streams -= 1
            self.fake.push.subscriptions.discard(self.subscription)

    async def _events(self, mode: EventSourceMode) -> AsyncIterator[bytes]:
        if mode is EventSourceMode.STALLS:
            await asyncio.Event().wait()
        # A comment, so that the client sees the reply begin.
        yield b": hello\n\n"
        timeout_s = None if mode is EventSourceMode.NO_PING else self.ping_s
        while True:
            event = await self.subscription.next(timeout_s)
            if event is None:
                yield b"event: ping\ndata: " + json.dumps({"interval": self.ping_s}).encode() + b"\n\n"
                continue
            data = json.dumps(event.document())
            yield f"event: state\nid: {event.id}\ndata: {data}\n\n".encode()
            if self.closes_after_state:
                return
            if mode is EventSourceMode.DIES:
                raise Dropped
