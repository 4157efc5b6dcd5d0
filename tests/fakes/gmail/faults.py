"""Failures to order: of the next calls of a method, for a time, before or after the work is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.fakes.gmail.errors import ApiError, backend_error, throttled
from tests.fakes.gmail.options import Clock

TOKEN_ENDPOINT: Final = "oauth.token"


class Cut(Exception):
    """The connection is to be closed without an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How a call fails. `is_after_work`: it is carried out first. `is_cut`: no answer comes at all.

    `delay_s`: the answer comes so much later, work done or not; with status 200 that is all that is wrong.
    """

    status: int = 503
    reason: str = "backendError"
    message: str = ""
    retry_after_s: int | None = None
    is_after_work: bool = False
    is_cut: bool = False
    delay_s: float = 0.0

    @property
    def is_only_late(self) -> bool:
        """Whether the call succeeds in the end."""
        return self.status == 200 and not self.is_cut

    def error(self) -> Exception:
        """Return what is raised for it."""
        if self.is_cut:
            return Cut()
        if self.reason == "backendError":
            error = backend_error(self.status)
        elif self.reason.endswith("LimitExceeded") or self.reason.endswith("RateLimitExceeded"):
            error = throttled(self.reason, self.status, None)
        else:
            error = ApiError(self.status, self.reason, self.message or self.reason)
        if self.retry_after_s is not None:
            error.headers["Retry-After"] = str(self.retry_after_s)
        return error


@dataclass(frozen=True, slots=True)
class _Throttle:
    until_s: float
    fault: Fault
    tells_end: bool


class Faults:
    """What is ordered and not yet delivered. A method is named by its id, or by `*` for any of the API's.

    OAuth's token endpoint is `oauth.token`, and has to be named.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ordered: list[tuple[str, Fault, int]] = []
        self._throttle: _Throttle | None = None

    def order(self, method: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `method` fail."""
        self._ordered.append((method, fault, times))

    def take(self, method: str) -> Fault | None:
        """Return the fault for a call of `method`, if one is ordered, and count it as delivered."""
        for number, (wanted, fault, times) in enumerate(self._ordered):
            if wanted == method or (wanted == "*" and method != TOKEN_ENDPOINT):
                if times > 1:
                    self._ordered[number] = (wanted, fault, times - 1)
                else:
                    del self._ordered[number]
                return fault
        return None

    def throttle(self, seconds: float, fault: Fault, *, tells_end: bool = False) -> None:
        """Refuse every call for `seconds` with `fault`; `tells_end`: its text says until when, as Gmail's may."""
        self._throttle = _Throttle(self._clock.monotonic() + seconds, fault, tells_end)

    def check_throttle(self) -> None:
        """Raise the throttle, if there is one now."""
        if self._throttle is None:
            return
        left_s = self._throttle.until_s - self._clock.monotonic()
        if left_s <= 0:
            self._throttle = None
            return
        if not self._throttle.tells_end:
            raise self._throttle.fault.error()
        end = self._clock.now() + timedelta(seconds=left_s)
        raise throttled(self._throttle.fault.reason, self._throttle.fault.status, end)

    def clear(self) -> None:
        """Forget all that is ordered."""
        self._ordered.clear()
        self._throttle = None
