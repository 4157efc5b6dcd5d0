"""Requests to the API, one at a time: paid for from the quota, and repeated while they are refused for their number."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx
import msgspec

from connectors.api.credentials import CredentialSource
from connectors.api.errors import ConnectorError, OutcomeUnknown, RateLimited, Unavailable
from connectors.api.priority import Priority
from connectors.gmail.costs import cost_table
from connectors.gmail.errors import Refusal
from connectors.gmail.methods import Method
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import NoReply
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.limits import QuotaBudget
from connectors.transport.messages import SUCCESS, Content, Effect, Reply, Request
from connectors.transport.options import TransportOptions
from connectors.transport.retry import RetryPolicy
from connectors.transport.window import Window

T = TypeVar("T")

MAX_REPLY_OCTETS: Final = 256 * 1024 * 1024
"""Of one reply. The largest message, of 150 MB, is four thirds of that in base64."""

REFUSALS: Final = frozenset(range(400, 500)) - {401, 408, 421, 425}
"""The statuses whose body says what is meant. 401 takes another token, and the rest are the transport's."""

FAILURES: Final = frozenset(range(500, 600))
"""A WRITE that is answered so may be done: 503 is also what stands before Gmail says when it has lost touch with it."""

PAUSES: Final = RetryPolicy(attempts=10, first_s=1.0, max_s=16.0)
"""Between calls that are refused for their number, where Google does not say how long to wait (its guide says so)."""

MAX_WAIT_S: Final = 90.0
"""How long a call waits for its turn: the quota is counted by the minute, so a minute has to be borne, and more."""

_BURST: Final = 3
"""A third of a minute's units may be spent at once. After all of them, what comes in meanwhile would have to wait for
a minute. In any minute there are never more than Google allows for one."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, over all its attempts. `what` is for operators."""

    what: str
    verb: str
    url: str
    effect: Effect
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = None
    content_octets: int | None = None
    cost: int = 0
    accept: frozenset[int] = SUCCESS


class Sender:
    """What calls, batches and uploads share. Usable from the beginning, until `close`, and again after `open`."""

    def __init__(
        self,
        settings: GmailSettings,
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
        self.burst = settings.units_per_minute / _BURST
        """As many units can be spent at once."""
        self._costs = cost_table(settings.costs, settings.cost_overrides)
        minute = Window(settings.units_per_minute, 60.0, self.clock)
        self._budget = QuotaBudget(self.burst, 60.0 / _BURST, self.clock, minute)
        self._transport = transport
        self._chance = chance
        self._is_closed = False
        self._http = self._begin()

    def _begin(self) -> HttpClient:
        return HttpClient(
            "gmail",
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

    def open(self) -> None:
        """Make it usable again after `close`."""
        if self._is_closed:
            self._http = self._begin()
            self._is_closed = False

    async def close(self) -> None:
        """End all connections. Never raises."""
        self._is_closed = True
        await self._http.close()

    def cost(self, method: Method) -> int:
        """Return what a call costs, in quota units; 0 for a method of another API."""
        return self._costs.get(method.id, 0)

    def target(
        self, method: Method, path: Mapping[str, str], query: Sequence[tuple[str, str]], *, is_upload: bool = False
    ) -> str:
        """Return path and query string of a call of this user."""
        # Google indents its replies unless told otherwise.
        pairs = [*query, ("prettyPrint", "false")]
        return method.target({"userId": self.settings.user, **path}, pairs, is_upload=is_upload)

    async def send(self, outgoing: Outgoing) -> Reply:
        """Send a request and return its reply; wait and send it again while it is refused for the number of calls.

        Raises:
            Refused: it was refused, or is still after all attempts.
        """
        readable = REFUSALS | FAILURES if outgoing.effect is Effect.WRITE else REFUSALS
        request = Request(
            outgoing.verb,
            outgoing.url,
            headers=outgoing.headers,
            content=outgoing.content,
            content_octets=outgoing.content_octets,
            effect=outgoing.effect,
            accept=outgoing.accept | readable,
            max_reply_octets=MAX_REPLY_OCTETS,
            cost=outgoing.cost,
        )
        patience = Patience(self)
        while True:
            answer = await self._http.request(request)
            if answer.status in outgoing.accept:
                return answer
            refusal = Refusal.read(answer.status, answer.headers, answer.body, self.clock.now())
            if not refusal.is_throttling:
                raise refusal.error(outgoing.what, outgoing.effect)
            delay_s = self.pause(refusal, patience.refuse())
            self.slow_down(delay_s, is_quota_spent=refusal.is_quota_spent)
            if not patience.bears(delay_s):
                raise limited(refusal, outgoing.what, outgoing.effect, delay_s)
            patience.wait(delay_s)

    def pause(self, refusal: Refusal, failed: int) -> float:
        """Return how long to wait after `failed` attempts, the last of which was refused so, in seconds."""
        return refusal.retry_after_s or PAUSES.delay(failed, self._chance())

    def slow_down(self, seconds: float, *, is_quota_spent: bool) -> None:
        """Send nothing for so long: the calls for a mailbox are counted together, whoever makes them."""
        self._http.hold_back(seconds)
        if is_quota_spent:
            self._budget.reject(seconds)

    async def pay(self, cost: int, what: str) -> None:
        """Spend units for what is sent later with no cost of its own.

        Raises:
            RateLimited: they do not come in within `TransportOptions.max_wait_s`.
        """
        priority = Priority.CURRENT.resolve()
        delay_s = self._budget.delay(cost, priority)
        if delay_s > self.options.max_wait_s:
            raise RateLimited(f"{what} exceeds the quota", retry_after_s=delay_s)
        try:
            async with asyncio.timeout(self.options.max_wait_s):
                await self._budget.spend(cost, priority)
        except TimeoutError as exc:
            raise RateLimited(f"{what} had no turn in time", retry_after_s=delay_s) from exc

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


class Patience:
    """How often and how long one call has been put off."""

    def __init__(self, sender: Sender) -> None:
        self._longest_s = sender.options.max_wait_s
        self._waited_s = 0.0
        self._failed = 0

    def refuse(self) -> int:
        """Count an attempt that was put off; return how many there are."""
        self._failed += 1
        return self._failed

    def bears(self, delay_s: float) -> bool:
        """Tell whether to wait for so long and try once more."""
        return self._failed < PAUSES.attempts and self._waited_s + delay_s <= self._longest_s

    def wait(self, delay_s: float) -> None:
        """Take note that it is waited for so long."""
        self._waited_s += delay_s


def limited(refusal: Refusal, what: str, effect: Effect, delay_s: float) -> ConnectorError:
    """Return the error for a refusal that is not waited out; whoever asks again should wait for `delay_s`."""
    error = refusal.error(what, effect)
    if isinstance(error, RateLimited):
        error.retry_after_s = delay_s
    return error


def decode(body: bytes, reply: type[T], what: str, effect: Effect) -> T:
    """Return a reply's body as a struct.

    Raises:
        Unavailable: it is none (OutcomeUnknown after a WRITE).
    """
    if reply is NoReply and not body.strip():
        return reply()
    try:
        return msgspec.json.decode(body, type=reply)
    except (msgspec.MsgspecError, ValueError) as exc:
        text = f"{what} gave a reply that cannot be read: {exc}"
        raise (OutcomeUnknown(text) if effect is Effect.WRITE else Unavailable(text)) from exc


def encode(body: object | None) -> bytes | None:
    """Return a body as JSON; None if there is none."""
    return None if body is None else msgspec.json.encode(body)


def transport_options(settings: GmailSettings) -> TransportOptions:
    """Return what the settings say of the HTTP connections."""
    return TransportOptions(
        timeout_s=settings.timeout_s,
        max_wait_s=MAX_WAIT_S,
        max_concurrent=settings.max_concurrent,
        ca_file=settings.ca_file,
        verify=settings.verify,
    )
