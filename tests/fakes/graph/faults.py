"""Failures to order: of the next calls of an operation, for a time, before or after the work is done."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from tests.fakes.graph.errors import ApiError
from tests.fakes.graph.options import Clock

TOKEN_ENDPOINT: Final = "oauth.token"
_CODES: Final = {
    400: "ErrorInvalidRequest",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ErrorItemNotFound",
    409: "ErrorFolderExists",
    412: "ErrorIrresolvableConflict",
    413: "ErrorMessageSizeExceeded",
    429: "TooManyRequests",
    500: "ErrorInternalServerError",
    503: "ServiceUnavailable",
    504: "UnknownError",
    507: "ErrorQuotaExceeded",
}


class Cut(Exception):
    """The connection is to be closed without an answer, or in the middle of it after `octets`."""

    def __init__(self, octets: int | None = None) -> None:
        super().__init__("cut")
        self.octets = octets


@dataclass(frozen=True, slots=True)
class Fault:
    """How a call fails. `is_after_work`: it is carried out first. `is_cut`: no answer comes at all.

    `delay_s`: the answer comes so much later, work done or not; with status 200 that is all that is wrong.
    `is_lie`: nothing is done, and the answer is 200, or 204 to DELETE. `cut_at`: the answer breaks off there.
    """

    status: int = 503
    code: str = ""
    message: str = ""
    retry_after_s: int | None = None
    is_after_work: bool = False
    is_cut: bool = False
    cut_at: int | None = None
    is_lie: bool = False
    delay_s: float = 0.0

    @property
    def is_only_late(self) -> bool:
        """Whether the call succeeds in the end."""
        return self.status == 200 and not self.is_cut and not self.is_lie

    def error(self) -> Exception:
        """Return what is raised for it."""
        if self.is_cut:
            return Cut()
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        code = self.code or _CODES.get(self.status, "UnknownError")
        return ApiError(self.status, code, self.message, headers=headers)


@dataclass(slots=True)
class _Order:
    operation: str
    fault: Fault
    times: int
    skip: int


class Faults:
    """What is ordered and not yet delivered.

    An operation is named by its id, as `messages.patch` or `$batch`, or by a pattern such as `messages.*` or `*`. The
    latter does not mean `$batch`, nor the token endpoint, `oauth.token`: those have to be named.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: list[_Order] = []
        self._throttle: tuple[float, Fault] | None = None

    @property
    def pending(self) -> int:
        """How many failures are still to come."""
        return sum(order.times for order in self._orders)

    def order(self, operation: str, fault: Fault, times: int = 1, skip: int = 0) -> None:
        """Let `times` calls of `operation` fail, after `skip` that do not."""
        self._orders.append(_Order(operation, fault, times, skip))

    def take(self, operation: str) -> Fault | None:
        """Return the fault for a call, if one is ordered, and count it as delivered."""
        for order in self._orders:
            if not self._matches(order.operation, operation):
                continue
            if order.skip:
                order.skip -= 1
                continue
            order.times -= 1
            if not order.times:
                self._orders.remove(order)
            return order.fault
        return None

    def throttle(self, seconds: float, fault: Fault) -> None:
        """Refuse every call for `seconds`."""
        self._throttle = (self._clock.monotonic() + seconds, fault)

    def check_throttle(self) -> None:
        """Raise the throttle, if there is one now."""
        if self._throttle is None:
            return
        if self._clock.monotonic() >= self._throttle[0]:
            self._throttle = None
            return
        raise self._throttle[1].error()

    def clear(self) -> None:
        """Forget all that is ordered."""
        self._orders.clear()
        self._throttle = None

    @staticmethod
    def _matches(pattern: str, operation: str) -> bool:
        if operation in {TOKEN_ENDPOINT, "$batch"}:
            return pattern == operation
        return fnmatchcase(operation, pattern)
