"""What can go wrong with an HTTP request at `tests.servers.fault_proxy`, and which requests it befalls."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Generic, TypeVar

FaultT = TypeVar("FaultT")
SeenT = TypeVar("SeenT")

WAIT_S = 20.0
"""How long a test waits for what must happen; only to end a test that hangs."""


# -- waiting without a clock -------------------------------------------------------------------------------------------


class Count:
    """A number that only grows and can be waited for."""

    def __init__(self) -> None:
        self.value = 0
        self._grown = asyncio.Event()

    def add(self, more: int = 1) -> None:
        self.value += more
        self._grown.set()
        self._grown = asyncio.Event()

    async def reach(self, value: int, within_s: float | None = WAIT_S) -> None:
        """Return once the number is at least `value`; TimeoutError if that takes too long."""
        async with asyncio.timeout(within_s):
            while self.value < value:
                await self._grown.wait()


class Gate:
    """Where the proxy stops until the test lets it on; `arrived` counts how often it stopped."""

    def __init__(self) -> None:
        self.arrived = Count()
        self._let_on = Count()

    def let_on(self, times: int = 1) -> None:
        self._let_on.add(times)

    def open(self) -> None:
        """Let on whoever is here and whoever comes."""
        self._let_on.add(sys.maxsize)

    async def wait(self) -> None:
        """Stop here."""
        self.arrived.add()
        await self._let_on.reach(self.arrived.value, within_s=None)


# -- what can go wrong -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is reset before the backend sees the request."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing happens: the backend sees the request only when the gate lets it on, without a gate never."""

    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends after so many octets of its body; by a reset instead of an end of file if `is_reset`."""

    after: int = 0
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class LoseReply:
    """The backend does its work and answers in full, but nothing of that reaches the client: the connection is closed,
    or left open and silent if `is_silent`."""

    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The proxy answers. The backend never sees the request, or carries it out first if `is_work_done`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_work_done: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The backend's answer is delivered with another body, whose length is stated rightly."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class WrongLength:
    """Content-Length is off by so many octets; then the connection ends."""

    by: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """The body of the answer comes in pieces of so many octets, each let on by the gate."""

    octets: int
    gate: Gate


Fault = Drop | Hang | Cut | LoseReply | Answer | Rewrite | WrongLength | Trickle


def throttled(retry_after: int | datetime | None, status: int = 429) -> Answer:
    """Return the answer of an overloaded server; `retry_after` in seconds or as a moment (RFC 9110 section 10.2.3)."""
    if retry_after is None:
        return Answer(status)
    value = format_datetime(retry_after, usegmt=True) if isinstance(retry_after, datetime) else str(retry_after)
    return Answer(status, headers={"Retry-After": value})


def broken_json() -> Answer:
    """Return 200 with what is no JSON."""
    return Answer(200, b'{"methodResponses":[[,]', {"Content-Type": "application/json"})


def html_page() -> Answer:
    """Return 200 with the page of some login portal."""
    return Answer(200, b"<!DOCTYPE html><title>Sign in</title><p>Please sign in.", {"Content-Type": "text/html"})


def truncated_json() -> Rewrite:
    """Return the first half of the backend's answer, as if it were all."""
    return Rewrite(lambda body: body[: len(body) // 2])


# -- which requests ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived: `target` is path and query, header names are in lower case, `body` has no framing."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


When = Callable[[SeenRequest], bool]


def anything(_: SeenRequest) -> bool:
    return True


def path(start: str) -> When:
    """Match requests whose path begins so."""
    return lambda request: request.path.startswith(start)


def method(name: str) -> When:
    return lambda request: request.method == name


def body_has(text: str) -> When:
    """Match requests that say this somewhere in their body."""
    return lambda request: text.encode() in request.body


def all_of(*conditions: When) -> When:
    return lambda request: all(condition(request) for condition in conditions)


@dataclass(slots=True)
class Rule(Generic[FaultT, SeenT]):
    """A fault that waits for its requests; `hits` counts those that have met it in full."""

    fault: FaultT
    when: Callable[[SeenT], bool]
    times: int | None
    skip: int
    hits: Count = field(default_factory=Count)

    def cancel(self) -> None:
        """Let everything pass from now on."""
        self.times = 0

    def takes(self, request: SeenT) -> bool:
        """Say whether the fault befalls this request, and count it."""
        if self.times == 0 or not self.when(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True
