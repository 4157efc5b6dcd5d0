"""Many calls in few requests, each with an outcome of its own, and those that were put off made again alone."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from connectors.api.errors import ConnectorError, OutcomeUnknown, RateLimited, Unavailable
from connectors.api.priority import Priority
from connectors.gmail.batch import MAX_CALLS, BatchCall, BatchPart, BatchReader, boundary_of, encode_batch
from connectors.gmail.errors import Refusal
from connectors.gmail.sending import MAX_REPLY_OCTETS, PAUSES, REFUSALS, Patience, Sender, decode, encode, limited
from connectors.transport.client import StreamedReply
from connectors.transport.limits import ConcurrencyLimit
from connectors.transport.messages import SUCCESS, Effect, Request

T = TypeVar("T")

PATH: Final = "/batch"
"""The discovery document's `batchPath`."""

FEW_OCTETS: Final = 64 * 1024 * 1024
"""As much is taken of the reply to a batch; what is missing then is asked for again. It bounds the memory."""

_REFUSAL_OCTETS: Final = 64 * 1024


@dataclass(slots=True)
class _Item:
    """One call and how often it has failed."""

    number: int
    call: BatchCall
    failed: int = 0

    @property
    def effect(self) -> Effect:
        return self.call.method.effect

    @property
    def what(self) -> str:
        return f"Gmail's {self.call.method.name} in a batch"


@dataclass(frozen=True, slots=True)
class _Again:
    """The call is to be made again, in so many seconds."""

    delay_s: float = 0.0
    is_unauthorised: bool = False


@dataclass(slots=True)
class _Received:
    """What came of a batch: its parts by their places, and how it ended before its time.

    `throttled_s` is how long to hold everything back, as some of the parts were refused for their number.
    """

    parts: dict[int, BatchPart] = field(default_factory=dict)
    loss: ConnectorError | None = None
    throttled_s: float = 0.0
    is_quota_spent: bool = False

    @property
    def is_throttled(self) -> bool:
        return self.throttled_s > 0


class _Run(Generic[T]):
    """One call of `Batcher.run`: what is to be done still."""

    def __init__(self, calls: Sequence[BatchCall], reply: type[T], patience: Patience) -> None:
        self.pending = deque(_Item(number, call) for number, call in enumerate(calls))
        self.reply = reply
        self.patience = patience
        self.has_renewed = False
        self.has_settled = False


class Batcher:
    """Sends the batches of one mailbox, one at a time: Google makes the calls of a batch side by side.

    Batches become smaller while there is too much in them, and larger again up to `batch_size`.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._turn = ConcurrencyLimit(1)
        self._most = min(max(sender.settings.batch_size, 1), MAX_CALLS)
        self._size = self._most

    @property
    def size(self) -> int:
        """How many calls the next batch may have."""
        return self._size

    async def run(
        self, calls: Sequence[BatchCall], reply: type[T]
    ) -> AsyncGenerator[tuple[int, T | ConnectorError], None]:
        """Make the calls and yield each outcome with the place of its call, in any order.

        Raises:
            ConnectorError: nothing was done at all, for this reason.
        """
        run = _Run(calls, reply, Patience(self._sender))
        while run.pending:
            items = self._take(run.pending)
            try:
                settled = await self._round(run, items)
            except ConnectorError as error:
                if not run.has_settled:
                    raise
                settled = _given_up(run, items, error)
            run.has_settled = run.has_settled or bool(settled)
            for outcome in settled:
                yield outcome

    def _take(self, pending: deque[_Item]) -> list[_Item]:
        """Take the calls of the next batch; they cost no more than may be spent at once."""
        items = [pending.popleft()]
        cost = self._sender.cost(items[0].call.method)
        while pending and len(items) < self._size:
            cost += self._sender.cost(pending[0].call.method)
            if cost > self._sender.burst:
                break
            items.append(pending.popleft())
        return items

    # -- one batch ----------------------------------------------------------------------------------------------------

    async def _round(self, run: _Run[T], items: list[_Item]) -> list[tuple[int, T | ConnectorError]]:
        """Send one batch; return what is settled, put back what is to be sent again, and wait until it may be.

        Raises:
            ConnectorError: it was refused or lost as a whole.
        """
        authoriser = self._sender.authoriser
        fields = await self._sender.bounded(authoriser.headers_for(self._url), "a batch")
        received = await self._exchange(items)
        settled: list[tuple[int, T | ConnectorError]] = []
        again: list[tuple[_Item, _Again]] = []
        for place, item in enumerate(items):
            outcome = self._outcome(run, item, received, place)
            if isinstance(outcome, _Again):
                again.append((item, outcome))
            else:
                settled.append((item.number, outcome))
        run.pending.extendleft(item for item, _ in reversed(again))
        is_crowded = received.is_throttled and not received.is_quota_spent
        self._adapt(is_good=len(received.parts) == len(items) and not is_crowded)
        if any(put_off.is_unauthorised for _, put_off in again):
            run.has_renewed = True
            await self._sender.bounded(authoriser.refused(fields), "a batch")
        delay_s = max((put_off.delay_s for _, put_off in again), default=0.0)
        if received.is_throttled:
            self._sender.slow_down(received.throttled_s, is_quota_spent=received.is_quota_spent)
            run.patience.wait(delay_s)
        elif delay_s:
            await self._sender.clock.sleep(delay_s)
        return settled

    def _outcome(self, run: _Run[T], item: _Item, received: _Received, place: int) -> T | ConnectorError | _Again:
        """Return what became of one call, or that it is to be made again."""
        part = received.parts.get(place)
        if part is None:
            return _missing(item, received)
        if part.status in SUCCESS:
            try:
                return decode(part.body, run.reply, item.what, item.effect)
            except ConnectorError as error:
                return error
        refusal = Refusal.read(part.status, part.headers, part.body, self._sender.clock.now())
        if part.status == 401 and not run.has_renewed:
            return _Again(is_unauthorised=True)
        is_failure = part.status >= 500 and item.effect is not Effect.WRITE
        if not refusal.is_throttling and not is_failure:
            return refusal.error(item.what, item.effect)
        item.failed += 1
        delay_s = self._sender.pause(refusal, item.failed)
        if refusal.is_throttling:
            received.throttled_s = max(received.throttled_s, delay_s)
            received.is_quota_spent = received.is_quota_spent or refusal.is_quota_spent
        if item.failed >= PAUSES.attempts or not run.patience.bears(delay_s):
            return limited(refusal, item.what, item.effect, delay_s)
        return _Again(delay_s)

    def _adapt(self, *, is_good: bool) -> None:
        # Up by one and down by half, so that it comes to rest near what Google takes.
        self._size = min(self._size + 1, self._most) if is_good else max(self._size // 2, 1)

    # -- one request --------------------------------------------------------------------------------------------------

    @property
    def _url(self) -> str:
        return self._sender.settings.api_root + PATH

    async def _exchange(self, items: Sequence[_Item]) -> _Received:
        """Send a batch and return what came, be it all or not.

        Raises:
            ConnectorError: nothing came.
        """
        what = f"a batch of {len(items)} calls"
        effect = _effect_of(items)
        patience = Patience(self._sender)
        request = self._request(items, effect)
        while True:
            # Paid for before the permit is taken, so that who waits for units in the background does not hold it.
            await self._sender.pay(sum(self._sender.cost(item.call.method) for item in items), what)
            async with self._permit(), self._sender.http.stream(request) as streamed:
                if streamed.status in SUCCESS:
                    return await self._read(streamed, len(items), what, effect)
                body = await _whole(streamed)
            refusal = Refusal.read(streamed.status, streamed.headers, body, self._sender.clock.now())
            if not refusal.is_throttling:
                raise refusal.error(what, effect)
            delay_s = self._sender.pause(refusal, patience.refuse())
            self._sender.slow_down(delay_s, is_quota_spent=refusal.is_quota_spent)
            if not patience.bears(delay_s):
                raise limited(refusal, what, effect, delay_s)
            patience.wait(delay_s)

    def _request(self, items: Sequence[_Item], effect: Effect) -> Request:
        boundary = f"batch_{secrets.token_hex(16)}"
        parts = []
        for item in items:
            call = item.call
            parts.append((call.method.verb, self._sender.target(call.method, call.path, call.query), encode(call.body)))
        return Request(
            "POST",
            self._url,
            headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
            content=encode_batch(parts, boundary),
            effect=effect,
            accept=SUCCESS | REFUSALS,
        )

    async def _read(self, streamed: StreamedReply, count: int, what: str, effect: Effect) -> _Received:
        boundary = boundary_of(streamed.headers.get("content-type", ""))
        if boundary is None:
            text = f"{what} was answered with what is no batch"
            raise OutcomeUnknown(text) if effect is Effect.WRITE else Unavailable(text)
        reader, received, octets = BatchReader(boundary), _Received(), 0
        limit = FEW_OCTETS if count > 1 else MAX_REPLY_OCTETS
        try:
            async with (
                asyncio.timeout(self._sender.options.reply_timeout_s),
                contextlib.aclosing(streamed.chunks()) as chunks,
            ):
                async for chunk in chunks:
                    octets += len(chunk)
                    # A reply to no call is none: else it would pass for one that brings the others in the end.
                    received.parts.update((part.number, part) for part in reader.feed(chunk) if part.number < count)
                    if octets > limit:
                        received.loss = Unavailable(f"{what} gave a reply of more than {limit} octets")
                        break
        except TimeoutError:
            received.loss = Unavailable(f"{what} gave a reply that took too long")
        except ConnectorError as error:
            received.loss = error
        return received

    @contextlib.asynccontextmanager
    async def _permit(self) -> AsyncIterator[None]:
        """Hold the permit to send a batch.

        Raises:
            RateLimited: it did not come free in time.
        """
        try:
            async with asyncio.timeout(self._sender.options.max_wait_s):
                await self._turn.acquire(Priority.CURRENT)
        except TimeoutError as exc:
            raise RateLimited("other batches of calls to Gmail did not end in time") from exc
        try:
            yield
        finally:
            self._turn.release()


def _missing(item: _Item, received: _Received) -> ConnectorError | _Again:
    """Return what becomes of a call to which no reply came."""
    text = f"{item.what} was not answered"
    if received.loss is not None:
        text += f": {received.loss.operator_text}"
    if item.effect is Effect.WRITE:
        return OutcomeUnknown(text)
    # A reply that brings some of the parts brings the others too in the end, how large they may be.
    if not received.parts:
        item.failed += 1
    return Unavailable(text) if item.failed >= PAUSES.attempts else _Again()


def _given_up(run: _Run[T], items: Sequence[_Item], error: ConnectorError) -> list[tuple[int, T | ConnectorError]]:
    """Say of everything that is left why it was not done."""
    rest = error
    if isinstance(error, OutcomeUnknown):
        rest = Unavailable(f"not sent, since a batch before it was lost: {error.operator_text}")
    left: list[tuple[int, T | ConnectorError]] = [(item.number, error) for item in items]
    left += [(item.number, rest) for item in run.pending]
    run.pending.clear()
    return left


def _effect_of(items: Sequence[_Item]) -> Effect:
    """Return the effect of sending all of them twice."""
    effects = {item.effect for item in items}
    for effect in (Effect.WRITE, Effect.IDEMPOTENT_WRITE):
        if effect in effects:
            return effect
    return Effect.READ


async def _whole(streamed: StreamedReply) -> bytes:
    body = bytearray()
    async with contextlib.aclosing(streamed.chunks()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > _REFUSAL_OCTETS:
                break
    return bytes(body)
