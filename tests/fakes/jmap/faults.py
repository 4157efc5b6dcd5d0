"""Failures that a test plans ahead, gates at which requests wait, and throttling."""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime

from tests.fakes.jmap.options import Clock, SystemClock


class FaultKind(enum.Enum):
    """What goes wrong. The kinds that end in -after do the work first."""

    STATUS = "status"
    """The reply has another status (`status`), with `retry_after` if given."""
    PAGE = "page"
    """The reply is a web page with status 200, as from a captive portal."""
    BROKEN_JSON = "broken-json"
    """The work is done; the reply ends in the middle, with its length as if that were all."""
    CUT = "cut"
    """The connection is closed without a reply; nothing was done."""
    CUT_AFTER = "cut-after"
    """The connection is closed without a reply; the work was done."""
    CUT_BODY = "cut-body"
    """The connection is closed after `octets` of the reply's body."""
    HANG = "hang"
    """No reply ever comes; nothing was done."""
    HANG_AFTER = "hang-after"
    """No reply ever comes; the work was done."""
    STATUS_AFTER = "status-after"
    """The work is done, but the reply has another status."""
    DELAY = "delay"
    """The reply comes `delay_s` seconds late."""
    METHOD_ERROR = "method-error"
    """A method call gives `error`; nothing was done."""
    METHOD_ERROR_AFTER = "method-error-after"
    """A method call gives `error`; the work was done."""
    SET_ERROR = "set-error"
    """One object of a /set or an import fails with the SetError `error`."""


OF_METHODS = frozenset({FaultKind.METHOD_ERROR, FaultKind.METHOD_ERROR_AFTER, FaultKind.SET_ERROR})


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned failure; which fields matter depends on `kind`. `retry_after` is the value of that header."""

    kind: FaultKind
    status: int = 500
    error: str = "serverFail"
    octets: int = 0
    delay_s: float = 0.0
    retry_after: str | None = None


@dataclass(slots=True)
class _Plan:
    fault: Fault
    times: int | None
    skip: int


@dataclass(slots=True)
class Faults:
    """Planned failures by where they happen: a kind of HTTP request, or a method."""

    _plans: dict[str, list[_Plan]] = field(default_factory=dict)

    def plan(self, where: str, fault: Fault, times: int | None = 1, skip: int = 0) -> None:
        """Let the next `times` requests fail (None: all until `clear`), after the first `skip` have passed."""
        self._plans.setdefault(where, []).append(_Plan(fault, times, skip))

    def take(self, where: str, is_wanted: Callable[[Fault], bool] = lambda _: True) -> Fault | None:
        """Return the failure due now and use it up."""
        plans = self._plans.get(where, [])
        for plan in plans:
            if not is_wanted(plan.fault):
                continue
            if plan.skip:
                plan.skip -= 1
                return None
            if plan.times is not None:
                plan.times -= 1
                if not plan.times:
                    plans.remove(plan)
            return plan.fault
        return None

    def clear(self) -> None:
        self._plans.clear()

    @property
    def pending(self) -> int:
        """How many plans are not used up."""
        return sum(len(plans) for plans in self._plans.values())


class Gate:
    """A point at which requests wait until a test lets them go on."""

    def __init__(self) -> None:
        self.waiting = 0
        self._released = asyncio.Event()
        self._came = asyncio.Condition()

    async def arrived(self, count: int = 1) -> None:
        """Wait until `count` requests have come to the gate."""
        async with self._came:
            await self._came.wait_for(lambda: self.waiting >= count)

    def release(self) -> None:
        """Let all go on that wait, and all that come later."""
        self._released.set()

    async def pass_through(self) -> None:
        if self._released.is_set():
            return
        async with self._came:
            self.waiting += 1
            self._came.notify_all()
        await self._released.wait()


@dataclass(slots=True)
class Throttle:
    """Refusals by 429 or 503, for a while or a number of times."""

    status: int = 429
    until: float | None = None
    times: int = 0
    retry_after_s: float = 1.0
    is_date: bool = False
    says_when: bool = True
    clock: Clock = field(default_factory=SystemClock)

    def refusal(self) -> tuple[int, str | None] | None:
        """Return status and Retry-After of the refusal due now, None where the request may pass."""
        if self.until is not None:
            left = self.until - self.clock.monotonic()
            if left <= 0:
                self.until = None
                return None
        elif self.times > 0:
            self.times -= 1
            left = self.retry_after_s
        else:
            return None
        if not self.says_when:
            return self.status, None
        seconds = math.ceil(left)
        if self.is_date:
            return self.status, format_datetime(self.clock.now() + timedelta(seconds=seconds), usegmt=True)
        return self.status, str(seconds)
