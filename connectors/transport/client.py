"""The HTTP client of one account: turns, credentials, redirects, retries, and the errors of the contract."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from connectors.api.errors import AuthExpired, Denied, RateLimited, Unavailable
from connectors.api.priority import Priority
from connectors.transport.authorise import Authoriser
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.connections import Connections
from connectors.transport.exchange import Answer, Outgoing, exchange
from connectors.transport.limits import ConcurrencyLimit, QuotaBudget
from connectors.transport.messages import Effect, Headers, Reply, Request, shown
from connectors.transport.options import TransportOptions
from connectors.transport.origins import MalformedUrl, Origin
from connectors.transport.redirects import MAX_REDIRECTS, Hop, next_hop
from connectors.transport.retry import AttemptFailed, RetryPolicy, Trouble, error_for
from connectors.transport.statuses import failure_for
from connectors.transport.throttle import Hold

__all__ = ["Effect", "Headers", "HttpClient", "Priority", "Reply", "Request", "StreamedReply"]

T = TypeVar("T")

_ERROR_OCTETS = 64 * 1024
"""As much of the body of an error is read; of more the connection is dropped."""

_CREDENTIAL_FIELDS = frozenset({"authorization", "cookie", "proxy-authorization"})

_log = logging.getLogger(__name__)


class StreamedReply:
    """A reply whose body is read as it comes. `url` is the address that gave it, after redirects."""

    def __init__(self, answer: Answer, effect: Effect) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.url = answer.outgoing.url
        self._answer = answer
        self._effect = effect

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, decompressed, in pieces of at most 64 KiB. Once only.

        Raises:
            Unavailable: it broke off, stalled, or cannot be decompressed (OutcomeUnknown if the request was a WRITE).
        """
        try:
            async with contextlib.aclosing(self._answer.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except AttemptFailed as exc:
            raise error_for(exc.trouble, self._effect, exc.what) from exc


class _Turn:
    """Permits that are given back once the last of those who share them has left."""

    def __init__(self, limit: ConcurrencyLimit | None, permits: int = 1) -> None:
        self._limit = limit
        self._permits = permits
        self._sharers = 1

    def share(self) -> None:
        self._sharers += 1

    def leave(self) -> None:
        self._sharers -= 1
        if self._sharers == 0 and self._limit is not None:
            self._limit.release(self._permits)


@dataclass(slots=True)
class _Call:
    """One call of `request` or `stream`, over all its attempts."""

    request: Request
    priority: Priority
    is_whole: bool
    patience_s: float
    failed: int = 0

    @property
    def what(self) -> str:
        return f"{self.request.method} {shown(self.request.url)}"


class HttpClient:
    """Everything that one account asks of its servers over HTTP.

    `name` is the account's in logs. `budget` is the quota that `Request.cost` is spent from; it may be shared between
    clients. `transport` replaces the network in tests. `chance` gives random numbers in 0..1.

    A throttling reply holds back every request of the client until it has passed. All errors are of the contract.
    Cancelling a call leaves the client usable; a request that shares its connection with others is then let run to
    its end unseen, since to cut it off would harm them.
    """

    def __init__(
        self,
        name: str,
        authorise: Authoriser,
        options: TransportOptions,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        budget: QuotaBudget | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._authorise = authorise
        self._options = options
        self._clock: Clock = clock if clock is not None else LoopClock()
        self._budget = budget
        self._chance = chance
        self._policy = RetryPolicy(attempts=options.attempts)
        self._connections = Connections(options, self._clock, transport)
        self._limit = ConcurrencyLimit(options.max_concurrent)
        self._hold = Hold(self._clock)
        self._flights: set[asyncio.Task[Answer]] = set()
        self._closers: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def limit(self) -> ConcurrencyLimit:
        """How many requests may be under way; the connector may resize it to what the server says."""
        return self._limit

    def hold_back(self, seconds: float) -> None:
        """Send nothing for `seconds` from now, at most an hour: a throttling that only the reply's body told of."""
        self._hold.extend(seconds)

    async def request(self, request: Request) -> Reply:
        """Send a request and return its reply, read whole.

        Raises:
            NotFound: 404, 410. Denied: 403. TooLarge: 413. OverQuota: 507. Rejected: any other 4xx, 501, 505.
            AuthExpired: 401, also with another credential if there was one.
            RateLimited: throttled, or no turn or quota within `TransportOptions.max_wait_s`.
            Unavailable: not reached, failing, silent, or no HTTP; nothing was done if the request is a WRITE.
            OutcomeUnknown: a WRITE that may or may not have been done.
            Statuses in `request.accept` are returned in place of the above.
        """
        call = self._call(request, is_whole=True)
        return await self._attempts(call, lambda turn: self._whole(call, turn))

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[StreamedReply]:
        """Send a request and hand over its reply as soon as the header is there; it is retried until then.

        Raises:
            as `request`.
        """
        call = self._call(request, is_whole=False)
        answer, turn = await self._attempts(call, lambda turn: self._opened(call, turn))
        try:
            yield StreamedReply(answer, request.effect)
        finally:
            try:
                await self._closed(answer)
            finally:
                turn.leave()

    async def close(self) -> None:
        """End all connections; whoever still waits for a reply gets `Unavailable`. May be called twice."""
        self._is_closed = True
        for flight in self._flights:
            flight.cancel()
        while pending := {*self._flights, *self._closers}:
            await asyncio.wait(pending)
        await self._connections.close()

    # -- attempts -----------------------------------------------------------------------------------------------------

    def _call(self, request: Request, *, is_whole: bool) -> _Call:
        if not _CREDENTIAL_FIELDS.isdisjoint(name.lower() for name in request.headers):
            raise ValueError("a request's headers must not hold a credential")
        return _Call(request, request.priority.resolve(), is_whole, self._options.max_wait_s)

    async def _attempts(self, call: _Call, run: Callable[[_Turn], Awaitable[T]]) -> T:
        while True:
            turn = await self._turn(call)
            started = self._clock.monotonic()
            try:
                return await run(turn)
            except AttemptFailed as exc:
                call.failed += 1
                _log.debug("%s: %s (%.3f s)", self._name, exc.what, self._clock.monotonic() - started)
                await self._pause(call, exc)

    async def _pause(self, call: _Call, failure: AttemptFailed) -> None:
        """Wait until the next attempt may be made.

        Raises:
            ConnectorError: there is to be none.
        """
        delay = failure.delay_s
        if not delay:
            delay = self._policy.delay(call.failed, self._chance())
        is_throttled = failure.trouble is Trouble.THROTTLED
        if is_throttled:
            self._hold.extend(delay)
            if self._budget is not None:
                self._budget.reject(delay)
        may_repeat = self._policy.may_repeat(failure.trouble, call.request.effect, call.failed)
        if is_throttled and (not may_repeat or delay > call.patience_s):
            raise RateLimited(failure.what, retry_after_s=delay) from failure
        if not may_repeat or delay > call.patience_s or self._is_closed:
            raise error_for(failure.trouble, call.request.effect, failure.what) from failure
        if not is_throttled:
            call.patience_s -= delay
            await self._clock.sleep(delay)

    async def _turn(self, call: _Call) -> _Turn:
        """Wait for the quota, for the end of a throttling, and for a permit.

        Raises:
            RateLimited: it takes longer than the call may wait.
        """
        await self._spend(call)
        while True:
            held_s = self._hold.remaining_s
            if held_s > call.patience_s:
                raise RateLimited(f"{call.what} is held back: the server asked to wait", retry_after_s=held_s)
            if held_s > 0:
                call.patience_s -= held_s
                await self._clock.sleep(held_s)
                continue
            if self._is_closed:
                raise Unavailable(f"{call.what}: the client is closed")
            if call.request.is_long_lived:
                return _Turn(None)
            permits = call.request.permits
            await self._waiting(call, self._limit.acquire(call.priority, permits), 1.0)
            if self._hold.remaining_s <= 0 and not self._is_closed:
                return _Turn(self._limit, permits)
            self._limit.release(permits)

    async def _spend(self, call: _Call) -> None:
        """Pay for an attempt; the server counts those that fail too."""
        if self._budget is None or call.request.cost <= 0:
            return
        delay = self._budget.delay(call.request.cost, call.priority)
        if delay > call.patience_s:
            raise RateLimited(f"{call.what} exceeds the quota", retry_after_s=delay)
        await self._waiting(call, self._budget.spend(call.request.cost, call.priority), delay)

    async def _waiting(self, call: _Call, awaited: Awaitable[None], retry_after_s: float) -> None:
        """Await something within the call's patience."""
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(call.patience_s):
                await awaited
        except TimeoutError as exc:
            raise RateLimited(f"{call.what} had no turn in time", retry_after_s=retry_after_s) from exc
        call.patience_s = max(call.patience_s - (self._clock.monotonic() - started), 0.0)

    # -- one attempt --------------------------------------------------------------------------------------------------

    async def _whole(self, call: _Call, turn: _Turn) -> Reply:
        try:
            answer = await self._conversation(call, turn)
            try:
                body = await answer.read(call.request.max_reply_octets, self._options.reply_timeout_s)
            finally:
                await self._closed(answer)
        finally:
            turn.leave()
        return Reply(answer.status, answer.headers, body, answer.outgoing.url)

    async def _opened(self, call: _Call, turn: _Turn) -> tuple[Answer, _Turn]:
        try:
            return await self._conversation(call, turn), turn
        except BaseException:
            turn.leave()
            raise

    async def _conversation(self, call: _Call, turn: _Turn) -> Answer:
        """Send the request wherever redirects lead, and return a reply whose status is wanted."""
        request, hop = call.request, Hop.first(call.request)
        for _ in range(MAX_REDIRECTS + 1):
            answer, secrets = await self._authorised(call, turn, hop)
            if answer.status in request.accept:
                return answer
            try:
                following = next_hop(hop, answer.status, answer.headers.get("location"), request.effect)
                if following is None:
                    raise await self._failure(answer, secrets)
            finally:
                await self._closed(answer)
            await self._check_carried(call, hop, following)
            hop = following
        raise AttemptFailed(Trouble.UNUSABLE, f"{call.what} leads through more than {MAX_REDIRECTS} redirects")

    async def _check_carried(self, call: _Call, hop: Hop, following: Hop) -> None:
        """Refuse to carry a body to where the credential may not go: it is the user's mail.

        Raises:
            Denied: it would be.
        """
        if not following.has_content or Origin.of(hop.url) == Origin.of(following.url):
            return
        if await self._fields(call, hop.url) and not await self._fields(call, following.url):
            raise Denied(f"{call.what} redirects to {Origin.of(following.url)}, which is not an allowed host")

    async def _authorised(self, call: _Call, turn: _Turn, hop: Hop) -> tuple[Answer, tuple[str, ...]]:
        """Send with the credential, once more with another if that is refused."""
        for is_last in (False, True):
            fields = await self._fields(call, hop.url)
            outgoing = self._outgoing(call, hop, dict(fields))
            answer = await self._sent(call, turn, outgoing)
            if answer.status != 401 or 401 in call.request.accept:
                break
            await self._closed(answer)
            if not fields:
                raise Denied(f"{outgoing.what} wants a login, and there is none that may be sent there")
            if is_last or not await self._bounded(self._authorise.refused(fields), outgoing.what):
                raise AuthExpired(f"{outgoing.what} was answered 401: the server refuses the credentials")
        return answer, outgoing.secrets

    async def _fields(self, call: _Call, url: str) -> dict[str, str]:
        if not call.request.is_authorised:
            return {}
        return dict(await self._bounded(self._authorise.headers_for(url), call.what))

    async def _bounded(self, awaited: Awaitable[T], what: str) -> T:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await awaited
        except TimeoutError as exc:
            raise Unavailable(f"{what}: no credential came in {self._options.timeout_s:g} s") from exc

    def _outgoing(self, call: _Call, hop: Hop, fields: dict[str, str]) -> Outgoing:
        request = call.request
        return Outgoing(
            method=hop.method,
            url=hop.url,
            headers={"User-Agent": self._options.user_agent, **request.headers, **fields},
            content=request.content if hop.has_content else None,
            content_octets=request.content_octets if hop.has_content else None,
            connect_timeout_s=self._options.connect_timeout_s,
            timeout_s=request.timeout_s if request.timeout_s is not None else self._options.timeout_s,
            is_whole=call.is_whole,
            is_long_lived=request.is_long_lived,
            secrets=tuple(part for value in fields.values() for part in (value, value.rpartition(" ")[2])),
        )

    async def _failure(self, answer: Answer, secrets: tuple[str, ...]) -> Exception:
        """Return the error that an unwanted status means."""
        body = b""
        with contextlib.suppress(AttemptFailed):
            body = await answer.read(_ERROR_OCTETS, self._options.timeout_s)
        return failure_for(answer.status, answer.headers, body, answer.outgoing.what, self._clock.now(), secrets)

    # -- one exchange -------------------------------------------------------------------------------------------------

    async def _sent(self, call: _Call, turn: _Turn, outgoing: Outgoing) -> Answer:
        """Send once, over the lane that fits, and return the reply; whole if it comes over the shared lane.

        The exchange runs in a task of its own, so that httpcore is never cut off while it tidies up. If whoever waits
        gives up, it goes on unseen on the shared lane, and is ended on the other.
        """
        try:
            origin = Origin.of(outgoing.url)
        except MalformedUrl as exc:
            raise AttemptFailed(Trouble.UNREACHABLE, f"{outgoing.what}: {exc}") from None
        is_repeatable = call.is_whole and call.request.effect is not Effect.WRITE and not callable(outgoing.content)
        is_shared = is_repeatable and self._connections.can_share(origin)
        run = self._over_shared(call.request, outgoing, origin) if is_shared else self._over_own(outgoing, origin)
        started = self._clock.monotonic()
        flight = asyncio.get_running_loop().create_task(run)
        self._flights.add(flight)
        turn.share()
        flight.add_done_callback(lambda done: self._landed(done, turn))
        try:
            answer = await asyncio.shield(flight)
        except asyncio.CancelledError:
            self._give_up(flight, is_shared=is_shared)
            if self._is_closed and flight.cancelled() and not _is_cancelled():
                raise AttemptFailed(Trouble.LOST, f"{outgoing.what}: the client was closed") from None
            raise
        duration = self._clock.monotonic() - started
        _log.debug("%s: %s -> %d in %.3f s", self._name, outgoing.what, answer.status, duration)
        return answer

    async def _over_shared(self, request: Request, outgoing: Outgoing, origin: Origin) -> Answer:
        async with self._connections.shared(origin) as loan:
            answer = await exchange(loan.transport, outgoing, loan.begun)
            loan.answered(answer.version, answer.network_stream)
            try:
                await answer.read(request.max_reply_octets, self._options.reply_timeout_s)
            finally:
                await answer.close()
            return answer

    async def _over_own(self, outgoing: Outgoing, origin: Origin) -> Answer:
        async with self._connections.own(origin) as loan:
            return await exchange(loan.transport, outgoing, loan.begun)

    def _landed(self, flight: asyncio.Task[Answer], turn: _Turn) -> None:
        self._flights.discard(flight)
        turn.leave()
        if not flight.cancelled():
            flight.exception()

    def _give_up(self, flight: asyncio.Task[Answer], *, is_shared: bool) -> None:
        if not flight.done():
            if not is_shared:
                flight.cancel()
        elif not flight.cancelled() and flight.exception() is None:
            self._close_answer(flight.result())

    def _close_answer(self, answer: Answer) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(answer.close())
        self._closers.add(task)
        task.add_done_callback(self._closers.discard)
        return task

    async def _closed(self, answer: Answer) -> None:
        """Close a reply to the end, also if whoever waits for that gives up."""
        await asyncio.shield(self._close_answer(answer))


def _is_cancelled() -> bool:
    """Tell whether somebody wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
