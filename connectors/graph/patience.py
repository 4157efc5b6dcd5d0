"""How often and how long a call is put off that Graph refuses for the number of calls, or fails over."""

from __future__ import annotations

from typing import Final

from connectors.api.errors import ConnectorError, RateLimited
from connectors.graph.errors import Refusal
from connectors.transport.messages import Effect
from connectors.transport.retry import RetryPolicy

PAUSES: Final = RetryPolicy(attempts=8, first_s=1.0, max_s=60.0)
"""Between calls that are refused for their number or fail, where Graph does not say how long to wait."""

FAILURES: Final = 4
"""As often a call is made at most that fails otherwise."""

MAX_WAIT_S: Final = 90.0
"""How long a call waits in all for its turn, its quota and what Graph asks to wait."""


class Patience:
    """How often and how long one call has been put off."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        self._failed = 0

    def refuse(self) -> int:
        """Count an attempt that was put off; return how many there are."""
        self._failed += 1
        return self._failed

    def bears(self, refusal: Refusal, delay_s: float) -> bool:
        """Tell whether to wait for so long and try once more."""
        most = PAUSES.attempts if refusal.is_throttling else FAILURES
        return self._failed < most and self._waited_s + delay_s <= MAX_WAIT_S

    def wait(self, delay_s: float) -> None:
        """Take note that it is waited for so long."""
        self._waited_s += delay_s


def may_repeat(refusal: Refusal, effect: Effect) -> bool:
    """Tell whether a call that was refused so may be made again."""
    return refusal.is_throttling or (refusal.is_passing and effect is not Effect.WRITE)


def limited(refusal: Refusal, what: str, effect: Effect, delay_s: float) -> ConnectorError:
    """Return the error for a refusal that is not waited out; whoever asks again should wait for `delay_s`."""
    error = refusal.error(what, effect)
    if isinstance(error, RateLimited):
        error.retry_after_s = delay_s
    return error
