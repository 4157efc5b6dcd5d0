"""Requests to Graph, one at a time: paid for from the quota, and repeated while they are refused for their number."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar, runtime_checkable

import httpx

from connectors.api.credentials import CredentialSource
from connectors.api.errors import Unavailable
from connectors.graph.crowding import Crowding
from connectors.graph.errors import Refusal
from connectors.graph.odata import claims_of
from connectors.graph.patience import MAX_WAIT_S, PAUSES, Patience, limited, may_repeat
from connectors.graph.settings import GraphSettings
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.client import HttpClient, StreamedReply
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.limits import QuotaBudget
from connectors.transport.messages import SUCCESS, Content, Effect, Headers, Reply, Request
from connectors.transport.options import TransportOptions
from connectors.transport.window import Window

T = TypeVar("T")

MAX_REPLY_OCTETS: Final = 128 * 1024 * 1024
"""Of one reply that is read whole."""

UNWANTED: Final = frozenset(range(400, 600)) - {408, 421, 425}
"""The statuses whose body says what is meant; the rest are the transport's."""

STREAM_TIMEOUT_S: Final = 300.0
"""Longest silence of a message that is streamed: Exchange makes it anew from its parts before it sends any of it."""

LONG_STREAM_S: Final = 2.0
"""A stream that has lasted for longer may last for minutes."""

_WINDOW_S: Final = 600.0
_BURST: Final = 3
"""A third of ten minutes' requests may be made at once; after all of them everybody would have to wait for long."""

_ERROR_OCTETS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, over all its attempts. `what` is for operators.

    `cost` is how many requests it counts for, `permits` how many it is at once.
    """

    what: str
    verb: str
    url: str
    effect: Effect
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = None
    content_octets: int | None = None
    cost: int = 1
    permits: int = 1
    accept: frozenset[int] = SUCCESS
    is_authorised: bool = True
    timeout_s: float | None = None

    def request(self) -> Request:
        """Return the request for the transport; replies that were not wanted come back to be read."""
        return Request(
            self.verb,
            self.url,
            headers=self.headers,
            content=self.content,
            content_octets=self.content_octets,
            effect=self.effect,
            accept=SUCCESS | self.accept | UNWANTED,
            max_reply_octets=MAX_REPLY_OCTETS,
            cost=self.cost,
            permits=self.permits,
            is_authorised=self.is_authorised,
            timeout_s=self.timeout_s,
        )


@runtime_checkable
class Challenged(Protocol):
    """A source of credentials that can be told what a new token has to claim."""

    def challenge(self, claims: str) -> None:
        """Take note of a claims challenge: JSON, to be sent with the next request for a token."""


class Sender:
    """What calls, batches and uploads share. Usable from the beginning, until `close`, and again after `open`."""

    def __init__(
        self,
        settings: GraphSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or LoopClock()
        self.options = transport_options(settings)
        self.authoriser = CredentialAuthoriser(credentials, [settings.api_root])
        self.crowding = Crowding(settings.max_concurrent)
        self._credentials = credentials
        allowed = settings.requests_per_10_minutes
        window = Window(allowed, _WINDOW_S, self.clock)
        self._budget = QuotaBudget(allowed / _BURST, _WINDOW_S / _BURST, self.clock, window)
        self._transport = transport
        self._chance = chance
        self._is_closed = False
        self._streams: dict[object, float] = {}
        """When the streams under way began, in seconds of the monotonic clock."""
        self._http = self._begin()

    def _begin(self) -> HttpClient:
        return HttpClient(
            "graph",
            self.authoriser,
            self.options,
            clock=self.clock,
            transport=self._transport,
            budget=self._budget,
            chance=self._chance,
        )

    @property
    def http(self) -> HttpClient:
        """The HTTP client in use; another one after `close` and `open`."""
        return self._http

    @property
    def at_once(self) -> int:
        """How many requests may be under way beside the streams that may last, at least 1."""
        now = self.clock.monotonic()
        lasting = sum(now - began > LONG_STREAM_S for began in self._streams.values())
        return max(self.crowding.limit - lasting, 1)

    def open(self) -> None:
        """Make it usable again after `close`."""
        if self._is_closed:
            self._http = self._begin()
            self._http.limit.resize(self.crowding.limit)
            self._is_closed = False

    async def close(self) -> None:
        """End all connections. Never raises."""
        self._is_closed = True
        await self._http.close()

    async def send(self, outgoing: Outgoing) -> Reply:
        """Send a request and return its reply; wait and send it again while it is refused for the number of calls.

        Raises:
            Refused: it was refused, or is still after all attempts.
        """
        attempts, request = Attempts(self, outgoing), outgoing.request()
        while True:
            fields = await self._fields(outgoing)
            reply = await self._http.request(request)
            if reply.status in outgoing.accept:
                self.succeeded()
                return reply
            await attempts.failed(reply.status, reply.headers, reply.body, fields)

    @contextlib.asynccontextmanager
    async def stream(self, outgoing: Outgoing) -> AsyncIterator[StreamedReply]:
        """As `send`, but hand over the reply as soon as its header is there."""
        attempts, request = Attempts(self, outgoing), outgoing.request()
        while True:
            fields = await self._fields(outgoing)
            async with self._http.stream(request) as streamed:
                if streamed.status in outgoing.accept:
                    self.succeeded()
                    with self._counted():
                        yield streamed
                    return
                body = await _beginning(streamed)
            await attempts.failed(streamed.status, streamed.headers, body, fields)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a stream as under way within the block."""
        stream = object()
        self._streams[stream] = self.clock.monotonic()
        try:
            yield
        finally:
            del self._streams[stream]

    async def _fields(self, outgoing: Outgoing) -> Mapping[str, str]:
        """Return what the request is authorised with, so that a refusal can be told to the authoriser."""
        if not outgoing.is_authorised:
            return {}
        return await self.bounded(self.authoriser.headers_for(outgoing.url), outgoing.what)

    # -- when calls are refused ---------------------------------------------------------------------------------------

    def pause(self, refusal: Refusal, failed: int) -> float:
        """Return how long to wait after `failed` attempts, the last of which was refused so, in seconds."""
        return refusal.retry_after_s or PAUSES.delay(failed, self._chance())

    def hold_back(self, seconds: float) -> None:
        """Send nothing for so long: the calls for a mailbox are counted together, and those that are refused too."""
        self._http.hold_back(seconds)

    def crowded(self) -> None:
        """Take note that there was too much under way at once."""
        self.crowding.refused()
        self._http.limit.resize(self.crowding.limit)

    def succeeded(self) -> None:
        """Take note that a call was let through."""
        if self.crowding.passed():
            self._http.limit.resize(self.crowding.limit)

    async def renew(self, headers: Headers, fields: Mapping[str, str], what: str) -> bool:
        """Get another token after a 401; tell whether there is one that may work. `fields` are those that were sent."""
        claims = claims_of(headers)
        if claims is not None and isinstance(self._credentials, Challenged):
            self._credentials.challenge(claims)
        return await self.bounded(self.authoriser.refused(fields), what)

    async def bounded(self, awaited: Awaitable[T], what: str) -> T:
        """Await what has to do with the credentials.

        Raises:
            Unavailable: it takes longer than the time-out.
        """
        try:
            async with asyncio.timeout(self.options.timeout_s):
                return await awaited
        except TimeoutError as exc:
            raise Unavailable(f"{what}: no credential came in {self.options.timeout_s:g} s") from exc


class Attempts:
    """How often one call was refused, and how long it has waited for that."""

    def __init__(self, sender: Sender, outgoing: Outgoing) -> None:
        self._sender = sender
        self._outgoing = outgoing
        self._has_renewed = False
        self._patience = Patience()

    async def failed(self, status: int, headers: Headers, body: bytes, fields: Mapping[str, str]) -> None:
        """Return once the call may be made again after such a reply.

        Raises:
            Refused: it is not to be made again.
        """
        outgoing, sender = self._outgoing, self._sender
        refusal = Refusal.read(status, headers, body, sender.clock.now())
        if status == 401 and outgoing.is_authorised and not self._has_renewed:
            self._has_renewed = True
            if await sender.renew(headers, fields, outgoing.what):
                return
        if not may_repeat(refusal, outgoing.effect):
            raise refusal.error(outgoing.what, outgoing.effect)
        delay_s = sender.pause(refusal, self._patience.refuse())
        if refusal.is_throttling:
            sender.hold_back(delay_s)
        if refusal.is_crowding:
            sender.crowded()
        if not self._patience.bears(refusal, delay_s):
            raise limited(refusal, outgoing.what, outgoing.effect, delay_s)
        self._patience.wait(delay_s)
        if not refusal.is_throttling:
            await sender.clock.sleep(delay_s)


def transport_options(settings: GraphSettings) -> TransportOptions:
    """Return what the settings say of the HTTP connections."""
    return TransportOptions(
        timeout_s=settings.timeout_s,
        max_wait_s=MAX_WAIT_S,
        max_concurrent=settings.max_concurrent,
        ca_file=settings.ca_file,
        verify=settings.verify,
    )


async def _beginning(streamed: StreamedReply) -> bytes:
    body = bytearray()
    async with contextlib.aclosing(streamed.chunks()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > _ERROR_OCTETS:
                break
    return bytes(body)
