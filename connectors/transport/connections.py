"""The connections of one client, in two lanes, and when they are replaced.

The shared lane speaks HTTP/2 where the server offers it, many requests over one connection. What happens to one of
them can befall all: httpcore ends every stream of a connection when one falls silent or when the server announces that
it will close, and a request that is cut off while it is written spoils the frames of the others. So the shared lane
is for requests that may be repeated, and it is replaced as a whole, gently, when it may have been harmed, and before
a server would close it for its age. Everything else has a connection of its own while it lasts, over HTTP/1.1: writes
that must not be repeated, and streams, which thereby also cannot pile up what their reader has not taken yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from connectors.transport.clock import Clock
from connectors.transport.options import TransportOptions
from connectors.transport.origins import Origin
from connectors.transport.retry import AttemptFailed, Trouble

KEEPALIVE_S = 20.0
"""How long an unused connection is kept; below what firewalls and most servers bear."""

MAX_REQUESTS = 500
"""Requests over one shared lane; nginx closes a connection after 1000 (keepalive_requests), in the middle of others."""

MAX_AGE_S = 600.0

MAX_REMEMBERED = 256
"""Servers known to speak no HTTP/2; redirects may lead to ever new ones."""

LOOK_S = 2.0
"""A shared lane unused for longer is looked at first; sooner, what a server sends behind a reply would mislead."""


class _Lane:
    """A set of connections that is given up as a whole."""

    def __init__(self, transport: httpx.AsyncBaseTransport, now: float, *, is_shared: bool) -> None:
        self.transport = transport
        self.born = now
        self.idle_since = now
        self.is_shared = is_shared
        self.users = 0
        """Requests under way."""
        self.requests = 0
        """Requests ever begun."""
        self.is_retired = False
        self.connecting: dict[Origin, asyncio.Future[AttemptFailed | None]] = {}
        self.connected: set[Origin] = set()
        self.streams: dict[Origin, Any] = {}

    def is_worn(self, now: float) -> bool:
        """Tell whether a server may be about to close a connection of it, or has done so."""
        if self.requests >= MAX_REQUESTS or now - self.born > MAX_AGE_S:
            return True
        # httpcore does not look whether an unused HTTP/2 connection still stands, and finds out by losing a request.
        return (
            self.users == 0
            and now - self.idle_since > LOOK_S
            and any(stream.get_extra_info("is_readable") for stream in self.streams.values())
        )


class Loan:
    """A lane lent for one exchange."""

    def __init__(self, lane: _Lane, origin: Origin, begun: Callable[[str], None]) -> None:
        self._lane = lane
        self._origin = origin
        self.begun = begun
        """To be called with the protocol (`http2`, `http11`) when the request begins to go out."""

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        return self._lane.transport

    def answered(self, version: str, network_stream: Any) -> None:
        """Take note of what the reply came over."""
        if self._lane.is_shared and version == "HTTP/2" and network_stream is not None:
            self._lane.streams[self._origin] = network_stream


class Connections:
    """Makes the lanes, lends them, and closes what is given up."""

    def __init__(self, options: TransportOptions, clock: Clock, transport: httpx.AsyncBaseTransport | None) -> None:
        self._clock = clock
        self._given = transport
        self._make: Callable[[bool], httpx.AsyncBaseTransport] | None = None if transport else _maker(options)
        self._own: _Lane | None = None
        self._shared: _Lane | None = None
        self._plain: set[Origin] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def can_share(self, origin: Origin) -> bool:
        """Tell whether `origin` may speak HTTP/2: it has TLS, and has not spoken otherwise."""
        return self._given is None and origin.scheme == "https" and origin not in self._plain

    @contextlib.asynccontextmanager
    async def shared(self, origin: Origin) -> AsyncIterator[Loan]:
        """Lend the shared lane; it is replaced if the exchange fails, and must not be cut off by less than a failure.

        While the first request to an origin connects, others wait here. They would else wait in httpcore for that
        connection, and take it along if they run out of time there. If the origin turns out not to speak HTTP/2 they
        are lent the other lane.
        """
        lane = await self._connected_or_first(origin)
        if not self.can_share(origin):
            async with self.own(origin) as loan:
                yield loan
            return
        async with self._used(lane):
            try:
                yield Loan(lane, origin, lambda version: self._begun(lane, origin, version))
            except AttemptFailed as exc:
                self._retire(lane)
                self._let_through(lane, origin, exc if exc.trouble is Trouble.UNREACHABLE else None)
                raise
            except BaseException:
                self._retire(lane)
                self._let_through(lane, origin, None)
                raise
            self._begun(lane, origin, "http2")

    @contextlib.asynccontextmanager
    async def own(self, origin: Origin) -> AsyncIterator[Loan]:
        """Lend what makes a connection for one request at a time."""
        if self._own is None:
            self._own = self._new(is_shared=False)
        async with self._used(self._own) as lane:
            yield Loan(lane, origin, lambda _version: None)

    async def close(self) -> None:
        """Close everything, in use or not. Never raises."""
        if self._given is not None and self._own is None:
            self._own = self._new(is_shared=False)
        lanes, self._own, self._shared = (self._own, self._shared), None, None
        for lane in lanes:
            if lane is not None and not lane.is_retired:
                lane.is_retired = True
                self._close_lane(lane)
        while self._closing:
            await asyncio.wait(self._closing)

    def _new(self, *, is_shared: bool) -> _Lane:
        transport = self._given if self._make is None else self._make(is_shared)
        assert transport is not None
        return _Lane(transport, self._clock.monotonic(), is_shared=is_shared)

    def _fresh_shared(self) -> _Lane:
        if self._shared is not None and self._shared.is_worn(self._clock.monotonic()):
            self._retire(self._shared)
        if self._shared is None:
            self._shared = self._new(is_shared=True)
        return self._shared

    async def _connected_or_first(self, origin: Origin) -> _Lane:
        """Return a lane that is connected to `origin`, or on which nobody else is connecting to it.

        Raises:
            AttemptFailed: somebody else has just tried and not reached it.
        """
        while True:
            lane = self._fresh_shared()
            if origin in lane.connected or not self.can_share(origin):
                return lane
            if origin not in lane.connecting:
                lane.connecting[origin] = asyncio.get_running_loop().create_future()
                return lane
            failure = await asyncio.shield(lane.connecting[origin])
            if failure is not None:
                raise AttemptFailed(failure.trouble, failure.what)

    def _begun(self, lane: _Lane, origin: Origin, version: str) -> None:
        if origin not in lane.connected and version != "http2":
            if len(self._plain) >= MAX_REMEMBERED:
                self._plain.clear()
            self._plain.add(origin)
        lane.connected.add(origin)
        self._let_through(lane, origin, None)

    def _let_through(self, lane: _Lane, origin: Origin, failure: AttemptFailed | None) -> None:
        """Wake those that wait for the connection of another, if any do."""
        waited_for = lane.connecting.pop(origin, None)
        if waited_for is not None:
            waited_for.set_result(failure)

    def _retire(self, lane: _Lane) -> None:
        """Give a lane no new requests, and close it when its last one is done."""
        if self._shared is lane:
            self._shared = None
        if not lane.is_retired:
            lane.is_retired = True
            if lane.users == 0:
                self._close_lane(lane)

    @contextlib.asynccontextmanager
    async def _used(self, lane: _Lane) -> AsyncIterator[_Lane]:
        lane.users += 1
        lane.requests += 1
        try:
            yield lane
        finally:
            lane.users -= 1
            lane.idle_since = self._clock.monotonic()
            if lane.is_retired and lane.users == 0:
                self._close_lane(lane)

    def _close_lane(self, lane: _Lane) -> None:
        """Close in a task of its own, which whoever gives up waiting does not cut off."""
        task = asyncio.get_running_loop().create_task(_close(lane.transport))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    with contextlib.suppress(httpx.HTTPError, OSError, RuntimeError):
        await transport.aclose()


def _maker(options: TransportOptions) -> Callable[[bool], httpx.AsyncBaseTransport]:
    contexts = {http2: options.lane_context(http2=http2) for http2 in (False, True)}
    # At DEBUG these show header fields as they pass, the credential among them.
    for name in ("hpack", "httpcore"):
        logging.getLogger(name).setLevel(logging.INFO)
    # No bound on connections here: the concurrency limit is the bound, and it knows who goes first.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEPALIVE_S)

    def make(http2: bool) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            verify=contexts[http2], http2=http2, limits=limits, proxy=options.proxy, trust_env=False
        )

    return make
