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
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from connectors.transport.clock import Clock
from connectors.transport.options import TransportOptions
from connectors.transport.origins import Origin

KEEPALIVE_S = 20.0
"""How long an unused connection is kept; below what firewalls and most servers bear."""

MAX_REQUESTS = 500
"""Requests over one shared lane; nginx closes a connection after 1000 (keepalive_requests), in the middle of others."""

MAX_AGE_S = 600.0


class Lane:
    """A set of connections that is given up as a whole. `requests` counts those ever begun, `users` those under way."""

    def __init__(self, transport: httpx.AsyncBaseTransport, born: float) -> None:
        self.transport = transport
        self.born = born
        self.users = 0
        self.requests = 0
        self.is_retired = False
        self._first: dict[Origin, asyncio.Lock] = {}
        self._met: set[Origin] = set()
        self._streams: dict[Origin, Any] = {}

    @contextlib.asynccontextmanager
    async def introduced(self, origin: Origin) -> AsyncIterator[None]:
        """Let one request at a time through until one has been answered.

        A second one would wait in httpcore for the connection of the first; given up there, it takes that along.
        """
        if origin in self._met:
            yield
            return
        async with self._first.setdefault(origin, asyncio.Lock()):
            yield

    def met(self, origin: Origin, network_stream: Any) -> None:
        """Take note that `origin` has answered over `network_stream`."""
        self._met.add(origin)
        self._first.pop(origin, None)
        self._streams[origin] = network_stream

    def was_left(self) -> bool:
        """Tell whether a server has said something on a connection that nobody uses, as one does to close it."""
        return self.users == 0 and any(
            stream is not None and stream.get_extra_info("is_readable") for stream in self._streams.values()
        )


class Connections:
    """Makes the lanes, lends them, and closes what is given up."""

    def __init__(self, options: TransportOptions, clock: Clock, transport: httpx.AsyncBaseTransport | None) -> None:
        self._clock = clock
        self._given = transport
        self._make: Callable[[bool], httpx.AsyncBaseTransport] = _maker(options) if transport is None else _no_maker
        self._own: Lane | None = None
        self._shared: Lane | None = None
        self._plain: set[Origin] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def can_share(self, origin: Origin) -> bool:
        """Tell whether `origin` may speak HTTP/2: it has TLS, and has not answered otherwise."""
        return self._given is None and origin.scheme == "https" and origin not in self._plain

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[Lane]:
        """Lend the shared lane, a new one if the present one is worn."""
        lane = self._shared
        if lane is not None and (
            lane.requests >= MAX_REQUESTS or self._clock.monotonic() - lane.born > MAX_AGE_S or lane.was_left()
        ):
            self.retire(lane)
        if self._shared is None:
            self._shared = Lane(self._make(True), self._clock.monotonic())
        async with self._lent(self._shared) as lent:
            yield lent

    @contextlib.asynccontextmanager
    async def own(self) -> AsyncIterator[Lane]:
        """Lend what makes a connection for one request at a time."""
        if self._own is None:
            self._own = Lane(self._given or self._make(False), self._clock.monotonic())
        async with self._lent(self._own) as lent:
            yield lent

    def retire(self, lane: Lane) -> None:
        """Give a shared lane no new requests, and close it when its last one is done."""
        if self._shared is lane:
            self._shared = None
        if not lane.is_retired:
            lane.is_retired = True
            self._close_if_unused(lane)

    def answered(self, lane: Lane, origin: Origin, version: str, network_stream: Any) -> None:
        """Take note of what `origin` speaks."""
        if version == "HTTP/2":
            lane.met(origin, network_stream)
        else:
            self._plain.add(origin)
            lane.met(origin, None)

    async def close(self) -> None:
        """Close everything, in use or not. Never raises."""
        lanes, self._own, self._shared = (self._own, self._shared), None, None
        for lane in lanes:
            if lane is not None:
                lane.is_retired = True
                self._closing_task(lane)
        if self._given is not None and lanes[0] is None:
            await self._given.aclose()
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _lent(self, lane: Lane) -> AsyncIterator[Lane]:
        lane.users += 1
        lane.requests += 1
        try:
            yield lane
        finally:
            lane.users -= 1
            self._close_if_unused(lane)

    def _close_if_unused(self, lane: Lane) -> None:
        if lane.is_retired and lane.users == 0:
            self._closing_task(lane)

    def _closing_task(self, lane: Lane) -> None:
        """Close in a task of its own, which whoever gives up waiting does not cut off."""
        task = asyncio.get_running_loop().create_task(_close(lane.transport))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    with contextlib.suppress(httpx.HTTPError, OSError, RuntimeError):
        await transport.aclose()


def _no_maker(_http2: bool) -> httpx.AsyncBaseTransport:
    raise AssertionError("a transport was given")


def _maker(options: TransportOptions) -> Callable[[bool], httpx.AsyncBaseTransport]:
    # No bound on connections here: the concurrency limit is the bound, and it knows who goes first.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEPALIVE_S)

    def make(http2: bool) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            verify=options.ssl_context(), http2=http2, limits=limits, proxy=options.proxy, trust_env=False
        )

    return make
