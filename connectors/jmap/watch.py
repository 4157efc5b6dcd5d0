"""Being told of changes at the server, by whichever channel it has, for as long as somebody listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable

from connectors.api.errors import AuthExpired, ConnectorError, Denied, NotFound, RateLimited, Rejected, Unsupported
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, Channel, Pace, Sieve
from connectors.jmap.eventsource import EventSourceChannel
from connectors.jmap.settings import PushKind
from connectors.jmap.structs import StateChange
from connectors.jmap.websocket import WebSocketChannel
from connectors.transport.closing import unless_closed
from connectors.transport.retry import RetryPolicy

_log = logging.getLogger(__name__)

PATIENCE = 3
"""How often a channel may fail without ever having opened before the next is tried: some proxies pass no WebSocket."""


class Watcher:
    """Opens a channel again and again when it is lost; takes another where the server lacks one.

    `chance` gives random numbers in 0..1.
    """

    def __init__(
        self, client: JmapClient, pace: Pace | None = None, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._pace = pace or Pace()
        self._chance = chance

    async def events(self) -> AsyncGenerator[StateChange, None]:
        """Yield `ANYTHING` whenever a channel has been opened, and each change of the account's mail that is news.

        Ends when the client is closed, not before: where the server has no push, nothing is yielded until then, and
        nothing is asked of the server. Polling is the caller's business.

        Raises:
            AuthExpired: the credentials are refused.
        """
        channels = _channels(self._client, self._pace)
        sieve = Sieve(self._client.account_id)
        closed = asyncio.create_task(self._client.closed.wait(), name="jmap closed")
        try:
            while channels and not closed.done():
                pacing = _Pacing(self._client, self._pace, self._chance, is_last=len(channels) == 1)
                async with contextlib.aclosing(self._follow(channels.pop(0), sieve, pacing, closed)) as changes:
                    async for change in changes:
                        yield change
            if not closed.done():
                _log.info("no push from the JMAP server; changes are found by asking")
                await closed
        finally:
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)

    async def _follow(
        self, channel: Channel, sieve: Sieve, pacing: _Pacing, closed: asyncio.Task[bool]
    ) -> AsyncGenerator[StateChange, None]:
        """Yield what one channel tells, opening it anew when it is lost, until it proves not to exist."""
        while not closed.done():
            pacing.begin()
            error: ConnectorError | None = None
            try:
                async with contextlib.aclosing(channel.listen()) as changes:
                    while (change := await unless_closed(closed, anext(changes, None))) is not None:
                        pacing.opened()
                        news = sieve.sift(change)
                        if news is not None:
                            pacing.told(news)
                            yield news
            except AuthExpired:
                raise
            except (Denied, NotFound, Rejected, Unsupported) as exc:
                # One that has worked before is missing for a while only, as while a server is being replaced.
                if not pacing.has_ever_opened:
                    _log.info("no %s: %s", channel.name, exc.operator_text)
                    return
                error = exc
            except ConnectorError as exc:
                error = exc
            if closed.done():
                return
            _log.debug("%s lost: %s", channel.name, error.operator_text if error else "the server ended it")
            delay_s = pacing.ended(error)
            if delay_s is None:
                _log.info("no %s: it could not be opened", channel.name)
                return
            await unless_closed(closed, self._client.clock.sleep(max(delay_s, channel.pause_s)))


class _Pacing:
    """How long to wait before a channel is opened again."""

    def __init__(self, client: JmapClient, pace: Pace, chance: Callable[[], float], *, is_last: bool) -> None:
        self._clock = client.clock
        self._pace = pace
        self._chance = chance
        self._policy = RetryPolicy(first_s=pace.first_s, max_s=pace.longest_s)
        self._is_last = is_last
        self._failed = 0
        self._begun = 0.0
        self.has_ever_opened = False
        self._has_told = False

    def begin(self) -> None:
        self._begun = self._clock.monotonic()
        self._has_told = False

    def opened(self) -> None:
        self.has_ever_opened = True

    def told(self, news: StateChange) -> None:
        """Take note of a change; that a channel was opened is none."""
        self._has_told = self._has_told or news is not ANYTHING

    def ended(self, error: ConnectorError | None) -> float | None:
        """Return how many seconds to wait now; None to give the channel up for the next one.

        A server may end a stream after each change, so that one which has told something may be opened again soon.
        """
        is_steady = self._clock.monotonic() - self._begun >= self._pace.steady_s
        self._failed = 1 if self._has_told or (is_steady and self.has_ever_opened) else self._failed + 1
        if not self.has_ever_opened and not self._is_last and self._failed >= PATIENCE:
            return None
        delay_s = self._policy.delay(self._failed, self._chance())
        return max(delay_s, error.retry_after_s) if isinstance(error, RateLimited) else delay_s


def _channels(client: JmapClient, pace: Pace) -> list[Channel]:
    match client.settings.push:
        case PushKind.OFF:
            return []
        case PushKind.EVENT_SOURCE:
            return [EventSourceChannel(client, pace)]
        case PushKind.WEB_SOCKET:
            return [WebSocketChannel(client, pace)]
        case PushKind.AUTO:
            return [WebSocketChannel(client, pace), EventSourceChannel(client, pace)]
