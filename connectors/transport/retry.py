"""Which failures allow another attempt, after how long, and what the failure is called when there is none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from connectors.api.errors import ConnectorError, OutcomeUnknown, Unavailable
from connectors.transport.messages import Effect


class Trouble(enum.Enum):
    """How an attempt failed, by what may have happened at the server."""

    UNREACHABLE = "unreachable"
    """No connection came about. Whoever asks again later does so with a longer breath than one call has."""

    UNSENT = "unsent"
    """The connection was lost before the request, or the server says that it did not look at it."""

    THROTTLED = "throttled"
    """The server asks to come again later; nothing was done."""

    OVERLOADED = "overloaded"
    """The server is not able now (503) and says that nothing was done, though what stands before it may be wrong."""

    FAILED = "failed"
    """The server or what stands before it broke down over the request; it may be done in part."""

    SILENT = "silent"
    """Nothing came within the time-out."""

    LOST = "lost"
    """The connection broke, or what came is no HTTP."""

    UNUSABLE = "unusable"
    """A reply came that cannot be used, and would not be the next time either."""


class AttemptFailed(Exception):
    """One attempt failed. `what` is for the operator. Inside this package only."""

    def __init__(self, trouble: Trouble, what: str, *, delay_s: float | None = None) -> None:
        super().__init__(what)
        self.trouble = trouble
        self.what = what
        self.delay_s = delay_s


_FOR_ANY_EFFECT = frozenset({Trouble.UNSENT, Trouble.THROTTLED})
_NEVER = frozenset({Trouble.UNREACHABLE, Trouble.UNUSABLE})
_PERHAPS_DONE = frozenset({Trouble.FAILED, Trouble.SILENT, Trouble.LOST, Trouble.UNUSABLE})
_SILENT_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` at most, waiting `first_s`, twice that, and so on up to `max_s`, less a random part up to `jitter`."""

    attempts: int = 4
    first_s: float = 0.5
    max_s: float = 30.0
    jitter: float = 0.5

    def delay(self, failed: int, chance: float) -> float:
        """Return how long to wait after `failed` attempts, >= 1; `chance` is a random number in 0..1."""
        longest = min(self.first_s * 2.0 ** min(failed - 1, 30), self.max_s)
        return longest * (1.0 - self.jitter * chance)

    def may_repeat(self, trouble: Trouble, effect: Effect, failed: int) -> bool:
        """Tell whether to send the request again after `failed` attempts, the last of which ended in `trouble`."""
        if trouble in _NEVER or failed >= self.attempts:
            return False
        if trouble is Trouble.SILENT and failed >= _SILENT_ATTEMPTS:
            # Each costs a whole time-out, and somebody waits.
            return False
        return effect is not Effect.WRITE or trouble in _FOR_ANY_EFFECT


def error_for(trouble: Trouble, effect: Effect, what: str) -> ConnectorError:
    """Return the error of the contract for a failure that is not repeated. THROTTLED is for the caller to report."""
    if effect is Effect.WRITE and trouble in _PERHAPS_DONE:
        return OutcomeUnknown(what)
    return Unavailable(what)
