"""What Google's refusals mean in the words of the contract.

ConnectorError
`- Refused            the API refused a call; `refusal` is what it said. Each is also one of
   |- RefusedAuth      AuthExpired    401
   |- RefusedDenied    Denied         403 that is not for too many calls: missing scope, policy, API not enabled
   |- RefusedMissing   NotFound       404: the message, label or draft is gone, or the start of history is too old
   |- RefusedExisting  AlreadyExists  409
   |- RefusedSize      TooLarge       413
   |- RefusedFull      OverQuota      the storage of the account is full
   |- RefusedRate      RateLimited    429, and 403 for too many calls
   |- RefusedFailed    Unavailable    5xx, or what is no answer of the API
   |- RefusedUnknown   OutcomeUnknown 5xx after a write
   `- RefusedRejected  Rejected       any other 4xx

One status stands for many things: a 403 is a spent quota, a missing scope or a policy, as `reason` says.
Source: Google, "Resolve errors" of the Gmail API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from connectors.api.errors import (
    AlreadyExists,
    AuthExpired,
    ConnectorError,
    Denied,
    NotFound,
    OutcomeUnknown,
    OverQuota,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from connectors.gmail.structs import ErrorReply
from connectors.transport.messages import Effect, Headers
from connectors.transport.redaction import excerpt
from connectors.transport.retry_after import MAX_RETRY_AFTER_S, parse_retry_after, server_time

_THROTTLING: Final = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
)
_DAILY: Final = frozenset({"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"})
_FULL: Final = frozenset({"storageQuotaExceeded", "accountStorageQuotaExceeded"})
_DAILY_PAUSE_S: Final = 3600.0

_HINTS: Final = {
    "insufficientPermissions": "the login was not given the right to do this: log in again and agree to all of it",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "the login was not given the right to do this: log in again and agree to all",
    "accessNotConfigured": "the Gmail API is not enabled in the Google Cloud project: enable it in its console",
    "SERVICE_DISABLED": "the Gmail API is not enabled in the Google Cloud project: enable it in its console",
    "domainPolicy": "the administrators of the domain do not allow this application",
}
_UNTIL: Final = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*Z")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply of 4xx or 5xx. `reasons` are Google's words for why; empty if it is no answer of the API.

    `message` is on one line and fit for operators. `retry_after_s` is given where the reply says when to come again.
    """

    status: int
    reasons: frozenset[str] = frozenset()
    message: str = ""
    retry_after_s: float | None = None
    is_of_api: bool = True

    @classmethod
    def read(cls, status: int, headers: Headers, body: bytes, now: datetime) -> Refusal:
        """Read a reply; `now` is what its times are compared with if it does not tell its own."""
        now = server_time(headers, now)
        delay_s = parse_retry_after(headers.get("retry-after"), now)
        try:
            error = msgspec.json.decode(body, type=ErrorReply).error
        except (msgspec.MsgspecError, ValueError):
            return cls(status, message=excerpt(body), retry_after_s=delay_s, is_of_api=False)
        reasons = {item.reason for item in error.errors} | {error.status}
        reasons |= {str(detail["reason"]) for detail in error.details if "reason" in detail}
        if delay_s is None:
            delay_s = _told_delay(error.message, now)
        return cls(status, frozenset(reasons - {""}), excerpt(error.message.encode()), delay_s)

    @property
    def is_throttling(self) -> bool:
        """Whether the call was not looked at since there are too many, and may be repeated in a while."""
        if self.reasons & _DAILY:
            return False
        return self.status == 429 or (self.status == 403 and bool(self.reasons & _THROTTLING))

    @property
    def is_quota_spent(self) -> bool:
        """Whether it is throttling for the units of this minute, not for how much is under way at once."""
        return self.is_throttling and (self.status == 403 or "RATE_LIMIT_EXCEEDED" in self.reasons)

    def error(self, what: str, effect: Effect) -> ConnectorError:
        """Return the error; `what` says for the operator what was called, `effect` is that of the call."""
        hint = next((_HINTS[reason] for reason in sorted(self.reasons) if reason in _HINTS), None)
        reasons = ", ".join(sorted(self.reasons)) or "no reason"
        text = f"{what} was answered {self.status} ({reasons})"
        text += f": {hint or self.message}" if hint or self.message else ""
        return self._kind(effect)(text, self)

    def _kind(self, effect: Effect) -> type[Refused]:
        if self.status >= 500:
            return RefusedUnknown if effect is Effect.WRITE else RefusedFailed
        if self.is_throttling or (self.status in (403, 429) and self.reasons & _DAILY):
            return RefusedRate
        if self.reasons & _FULL:
            return RefusedFull
        if self.status in _BY_STATUS:
            # A 404 of a server that is not the API, a mistyped address perhaps, must not pass for deleted mail.
            is_trusted = self.is_of_api or self.status not in (403, 404, 409)
            return _BY_STATUS[self.status] if is_trusted else RefusedFailed
        return RefusedRejected


class Refused(ConnectorError):
    """The API refused a call. Raised only as one of its subclasses, which say what it means to the gateway."""

    def __init__(self, operator_text: str, refusal: Refusal) -> None:
        super().__init__(operator_text)
        self.refusal = refusal


class RefusedAuth(Refused, AuthExpired):
    """The access token is not good, and a new one was not either."""


class RefusedDenied(Refused, Denied):
    """The login or the project may not do this."""


class RefusedMissing(Refused, NotFound):
    """There is no such thing (any more)."""


class RefusedExisting(Refused, AlreadyExists):
    """There is such a thing already."""


class RefusedSize(Refused, TooLarge):
    """The message is larger than Gmail takes."""


class RefusedFull(Refused, OverQuota):
    """The account's storage is full."""


class RefusedRate(Refused, RateLimited):
    """Too many calls, in a minute or in a day."""

    def __init__(self, operator_text: str, refusal: Refusal) -> None:
        super().__init__(operator_text, refusal)
        pause_s = _DAILY_PAUSE_S if refusal.reasons & _DAILY else 1.0
        self.retry_after_s = pause_s if refusal.retry_after_s is None else refusal.retry_after_s


class RefusedFailed(Refused, Unavailable):
    """The API failed, and nothing was changed."""


class RefusedUnknown(Refused, OutcomeUnknown):
    """The API failed over a write that it may have done."""


class RefusedRejected(Refused, Rejected):
    """The call made no sense to the API, or not now."""


_BY_STATUS: Final[dict[int, type[Refused]]] = {
    401: RefusedAuth,
    403: RefusedDenied,
    404: RefusedMissing,
    409: RefusedExisting,
    410: RefusedMissing,
    413: RefusedSize,
}


def _told_delay(message: str, now: datetime) -> float | None:
    """Return the seconds until the time that the text of a refusal names, as `Retry after 2026-05-04T03:02:01.000Z`."""
    match = _UNTIL.search(message)
    if match is None:
        return None
    try:
        until = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
