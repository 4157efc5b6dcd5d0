"""Many calls in few requests, each with an outcome of its own, and those that were put off made again alone.

Source: Microsoft, "Combine multiple HTTP requests using JSON batching".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from connectors.api.errors import ConnectorError, OutcomeUnknown, Unavailable
from connectors.graph.errors import Refusal
from connectors.graph.odata import decode, query_string, with_preference
from connectors.graph.patience import FAILURES, PAUSES, Patience, limited, may_repeat
from connectors.graph.sending import Outgoing, Sender
from connectors.graph.structs import BatchReply, BatchResponse
from connectors.transport.messages import SUCCESS, Effect, Headers

T = TypeVar("T")

MAX_ITEMS: Final = 20
"""Graph takes no more in a batch."""

MAX_OCTETS: Final = 3_500_000
"""Of the JSON of a batch; Graph takes 4 MB in a request."""

AT_ONCE: Final = 4
"""As many calls of a batch does Graph make side by side, where they do not depend on each other."""

_FAILED_DEPENDENCY: Final = 424


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One call of a batch. `path` is below the mailbox; `body` goes out as JSON.

    `depends_on` is the place, earlier in the batch, of a call that has to succeed before this one is made. Of calls
    that hang together so there are at most 20, each depends on the one before it, or all on the first: Graph takes no
    other patterns.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: Effect = Effect.READ
    depends_on: int | None = None


@dataclass(slots=True)
class _Call:
    """One call, encoded, and how it has fared."""

    number: int
    item: BatchItem
    content: dict[str, object]
    octets: int
    depends_on: int | None
    patience: Patience = field(default_factory=Patience)

    @property
    def what(self) -> str:
        return f"Graph's {self.item.method} in a batch"


@dataclass(frozen=True, slots=True)
class _Again:
    """The call is to be made again, in so many seconds."""

    delay_s: float = 0.0
    is_held_back: bool = False
    is_unauthorised: bool = False


class _Run(Generic[T]):
    """One call of `Batcher.run`: what is to be done still, in groups that go out together, and what is done."""

    def __init__(self, groups: Sequence[list[_Call]], reply: type[T]) -> None:
        self.pending = deque(groups)
        self.reply = reply
        self.found: dict[int, T | ConnectorError] = {}
        self.has_renewed = False
        self.is_crowded = False
        """Whether a call of the last batch was refused as there was too much under way."""


class Batcher:
    """Sends the batches of one mailbox. What a batch does at once counts as so many requests among all of them."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def run(self, items: Sequence[BatchItem], reply: type[T]) -> list[T | ConnectorError]:
        """Make the calls; see `GraphClient.batch`."""
        calls = [self._call(number, item) for number, item in enumerate(items)]
        run = _Run(_groups(calls), reply)
        while run.pending:
            batch = self._take(run.pending)
            try:
                await self._round(run, batch)
            except ConnectorError as error:
                if not run.found:
                    raise
                _give_up(run, batch, error)
        return [run.found[number] for number in range(len(items))]

    def _call(self, number: int, item: BatchItem) -> _Call:
        headers = with_preference(item.headers)
        if item.body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        content: dict[str, object] = {
            "id": str(number),
            "method": item.method,
            "url": self._sender.settings.mailbox_path + item.path + query_string(item.query),
            "headers": headers,
        }
        if item.body is not None:
            content["body"] = item.body
        if item.depends_on is not None and not 0 <= item.depends_on < number:
            raise ValueError("a call depends on one that comes before it")
        octets = len(msgspec.json.encode(content)) + 32
        return _Call(number, item, content, octets, item.depends_on)

    def _take(self, pending: deque[list[_Call]]) -> list[_Call]:
        """Take the calls of the next batch. Graph wants all of them to depend on others, or none."""
        batch = list(pending.popleft())
        if len(batch) > 1:
            return batch
        # Where fewer requests at a time are left than Graph makes of a batch, it gets no more than it may make at once.
        # Else a change of flags would wait until a large message has been read.
        at_once = self._sender.at_once
        most = MAX_ITEMS if at_once >= AT_ONCE else at_once
        octets = batch[0].octets
        while pending and len(pending[0]) == 1 and len(batch) < most:
            octets += pending[0][0].octets
            if octets > MAX_OCTETS:
                break
            batch += pending.popleft()
        return batch

    # -- one batch ----------------------------------------------------------------------------------------------------

    async def _round(self, run: _Run[T], batch: list[_Call]) -> None:
        """Send one batch; take note of what is settled, put back what is to be sent again, and wait until it may be.

        Raises:
            ConnectorError: it was refused or lost as a whole.
        """
        url = f"{self._sender.settings.api_root}/$batch"
        fields = await self._sender.bounded(self._sender.authoriser.headers_for(url), "a batch")
        responses, loss = await self._exchange(url, batch)
        again: dict[int, _Again] = {}
        challenge = Headers()
        for call in batch:
            response = responses.get(str(call.number))
            outcome = self._outcome(run, call, response, loss)
            if isinstance(outcome, _Again):
                again[call.number] = outcome
                if response is not None and outcome.is_unauthorised:
                    challenge = _headers(response)
            else:
                run.found[call.number] = outcome
        self._put_back(run, batch, again)
        if run.is_crowded:
            # Once, however many calls it was said of: all of them were one request of ours.
            run.is_crowded = False
            self._sender.crowded()
        if any(put_off.is_unauthorised for put_off in again.values()):
            run.has_renewed = True
            await self._sender.renew(challenge, fields, "a batch")
        delay_s = max((put_off.delay_s for put_off in again.values() if not put_off.is_held_back), default=0.0)
        if delay_s:
            await self._sender.clock.sleep(delay_s)

    async def _exchange(
        self, url: str, batch: Sequence[_Call]
    ) -> tuple[dict[str, BatchResponse], ConnectorError | None]:
        """Send a batch and return the replies by their ids, or how the batch was lost on the way.

        Raises:
            ConnectorError: it was refused as a whole, so nothing was done.
        """
        effect = _effect_of(batch)
        outgoing = Outgoing(
            f"a batch of {len(batch)} calls to Graph",
            "POST",
            url,
            effect,
            headers={"Accept": "application/json", "Content-Type": "application/json"} | with_preference({}),
            content=msgspec.json.encode({"requests": [_content(call) for call in batch]}),
            cost=len(batch),
            permits=_permits(batch),
            accept=frozenset({200}),
        )
        try:
            reply = await self._sender.send(outgoing)
            decoded = decode(reply.body, BatchReply, outgoing.what, effect)
        except OutcomeUnknown as error:
            return {}, error
        return {response.id: response for response in decoded.responses}, None

    def _outcome(
        self, run: _Run[T], call: _Call, response: BatchResponse | None, loss: ConnectorError | None
    ) -> T | ConnectorError | _Again:
        """Return what became of one call, or that it is to be made again."""
        if response is None:
            return _missing(call, loss)
        headers, effect = _headers(response), call.item.effect
        body = bytes(response.body)
        if response.status in SUCCESS:
            try:
                return decode(body, run.reply, call.what, effect)
            except ConnectorError as error:
                return error
        refusal = Refusal.read(response.status, headers, body, self._sender.clock.now())
        if response.status == 401 and not run.has_renewed:
            return _Again(is_unauthorised=True)
        if response.status == _FAILED_DEPENDENCY:
            # If what it depends on has failed for good, `_put_back` says so.
            is_last = call.patience.refuse() >= PAUSES.attempts
            return refusal.error(call.what, effect) if is_last else _Again()
        if not may_repeat(refusal, effect):
            return refusal.error(call.what, effect)
        delay_s = self._sender.pause(refusal, call.patience.refuse())
        if refusal.is_throttling:
            self._sender.hold_back(delay_s)
            run.is_crowded |= refusal.is_crowding
        if not call.patience.bears(refusal, delay_s):
            return limited(refusal, call.what, effect, delay_s)
        call.patience.wait(delay_s)
        return _Again(delay_s, is_held_back=refusal.is_throttling)

    def _put_back(self, run: _Run[T], batch: Sequence[_Call], again: Mapping[int, _Again]) -> None:
        """Queue the calls that are to be made again, before all others; those that hang together stay so."""
        left = [call for call in batch if call.number in again]
        for call in left:
            if call.depends_on is not None and isinstance(run.found.get(call.depends_on), ConnectorError):
                text = f"{call.what} was not made, as what it depends on has failed"
                run.found[call.number] = Unavailable(text)
            elif call.depends_on not in again:
                call.depends_on = None
        run.pending.extendleft(reversed(_groups([call for call in left if call.number not in run.found])))


def _groups(calls: Sequence[_Call]) -> list[list[_Call]]:
    """Return the calls in groups that hang together, in order.

    Raises:
        ValueError: a group has more calls than a batch takes.
    """
    groups: dict[int, list[_Call]] = {}
    root_of: dict[int, int] = {}
    for call in calls:
        root = call.number if call.depends_on is None else root_of[call.depends_on]
        root_of[call.number] = root
        groups.setdefault(root, []).append(call)
    if any(len(group) > MAX_ITEMS for group in groups.values()):
        raise ValueError(f"more than {MAX_ITEMS} calls depend on each other")
    return list(groups.values())


def _is_linked(batch: Sequence[_Call]) -> bool:
    return any(call.depends_on is not None for call in batch)


def _content(call: _Call) -> dict[str, object]:
    if call.depends_on is None:
        return call.content
    return {**call.content, "dependsOn": [str(call.depends_on)]}


def _permits(batch: Sequence[_Call]) -> int:
    """Return how many calls Graph may make at once: one where each depends on the one before."""
    heads = {call.depends_on for call in batch}
    is_chain = len(heads) == len(batch) and _is_linked(batch)
    return 1 if is_chain else min(len(batch), AT_ONCE)


def _headers(response: BatchResponse) -> Headers:
    return Headers((name, str(value)) for name, value in (response.headers or {}).items() if value is not None)


def _missing(call: _Call, loss: ConnectorError | None) -> ConnectorError | _Again:
    """Return what becomes of a call to which no reply came."""
    text = f"{call.what} was not answered"
    if loss is not None:
        text += f": {loss.operator_text}"
    if call.item.effect is Effect.WRITE:
        return OutcomeUnknown(text)
    return Unavailable(text) if call.patience.refuse() >= FAILURES else _Again()


def _give_up(run: _Run[T], batch: Sequence[_Call], error: ConnectorError) -> None:
    """Say of everything that is left why it was not done."""
    for call in batch:
        run.found.setdefault(call.number, error)
    for group in run.pending:
        for call in group:
            run.found[call.number] = error
    run.pending.clear()


def _effect_of(batch: Sequence[_Call]) -> Effect:
    """Return the effect of sending all of them twice."""
    effects = {call.item.effect for call in batch}
    for effect in (Effect.WRITE, Effect.IDEMPOTENT_WRITE):
        if effect in effects:
            return effect
    return Effect.READ
