"""What goes wrong at a JMAP server, in the words of the contract.

ConnectorError
|- MethodFailure       a method call was refused; `type` is the reason of RFC 8620 section 3.6.2. Each is also one of
|  |- MethodDenied     Denied          forbidden, accountReadOnly, accountNotFound
|  |- MethodExpired    CursorExpired   cannotCalculateChanges, tooManyChanges
|  |- MethodLimited    RateLimited     rateLimit
|  |- MethodOverQuota  OverQuota       overQuota
|  |- MethodPartial    OutcomeUnknown  serverPartialFail
|  |- MethodRejected   Rejected        invalidArguments, stateMismatch, anchorNotFound, invalidResultReference, ...
|  |- MethodTooLarge   TooLarge        requestTooLarge
|  |- MethodFailed     Unavailable     serverFail, serverUnavailable, and any type not known
|  `- MethodMissing    Unsupported     unknownMethod, accountNotSupportedByMethod, unsupportedSort, unsupportedFilter
`- ...                 a request-level problem, or the SetError of one object
"""

from __future__ import annotations

from connectors.api.errors import (
    AlreadyExists,
    ConnectorError,
    CursorExpired,
    Denied,
    NotFound,
    OutcomeUnknown,
    OverQuota,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from connectors.jmap.structs import MethodError, Problem, SetError
from connectors.transport.redaction import excerpt

LIMIT_RETRY_S = 5.0
"""How long to hold off after a limit that came without a time of its own."""


class MethodFailure(ConnectorError):
    """A method call was refused. Raised only as one of its subclasses, which say what it means to the gateway."""

    def __init__(self, operator_text: str, *, type: str, client_text: str | None = None) -> None:
        super().__init__(operator_text, client_text=client_text)
        self.type = type


class MethodDenied(MethodFailure, Denied):
    """The login may not do this in this account, or may not see the account."""


class MethodExpired(MethodFailure, CursorExpired):
    """The server cannot tell what changed since the state that was given."""


class MethodLimited(MethodFailure, RateLimited):
    """Too much was asked in too short a time."""

    def __init__(self, operator_text: str, *, type: str, client_text: str | None = None) -> None:
        super().__init__(operator_text, type=type, client_text=client_text)
        self.retry_after_s = LIMIT_RETRY_S


class MethodOverQuota(MethodFailure, OverQuota):
    """The account is full."""


class MethodPartial(MethodFailure, OutcomeUnknown):
    """Some of what was asked was done and some was not; the states tell."""


class MethodRejected(MethodFailure, Rejected):
    """The call made no sense to the server, or not in the state it is in."""


class MethodTooLarge(MethodFailure, TooLarge):
    """More objects than the server takes in one call."""


class MethodFailed(MethodFailure, Unavailable):
    """The server failed; the call changed nothing (RFC 8620 section 3.6.2)."""


class MethodMissing(MethodFailure, Unsupported):
    """The server has no such method, or not for this account, or cannot sort or filter so."""


_BY_METHOD_ERROR: dict[str, type[MethodFailure]] = {
    "accountNotFound": MethodDenied,
    "accountNotSupportedByMethod": MethodMissing,
    "accountReadOnly": MethodDenied,
    "anchorNotFound": MethodRejected,
    "cannotCalculateChanges": MethodExpired,
    "forbidden": MethodDenied,
    "fromAccountNotFound": MethodDenied,
    "fromAccountNotSupportedByMethod": MethodMissing,
    "invalidArguments": MethodRejected,
    "invalidResultReference": MethodRejected,
    "overQuota": MethodOverQuota,
    "rateLimit": MethodLimited,
    "requestTooLarge": MethodTooLarge,
    "serverFail": MethodFailed,
    "serverPartialFail": MethodPartial,
    "serverUnavailable": MethodFailed,
    "stateMismatch": MethodRejected,
    "tooManyChanges": MethodExpired,
    "unknownMethod": MethodMissing,
    "unsupportedFilter": MethodMissing,
    "unsupportedSort": MethodMissing,
}

_BY_SET_ERROR: dict[str, type[ConnectorError]] = {
    "alreadyExists": AlreadyExists,
    # An uploaded blob that the server no longer has: nothing was stored, and doing it all again may work.
    "blobNotFound": Unavailable,
    "forbidden": Denied,
    "invalidEmail": Rejected,
    "invalidPatch": Rejected,
    "invalidProperties": Rejected,
    "mailboxHasChild": Rejected,
    "mailboxHasEmail": Rejected,
    "notFound": NotFound,
    "overQuota": OverQuota,
    "rateLimit": RateLimited,
    "serverFail": Unavailable,
    "serverUnavailable": Unavailable,
    "singleton": Rejected,
    "tooLarge": TooLarge,
    "tooManyKeywords": Rejected,
    "tooManyMailboxes": Rejected,
    "willDestroy": Rejected,
}

_CLIENT_TEXTS = {
    "invalidEmail": "The mail backend does not take this for a message.",
    "mailboxHasChild": "The mailbox has mailboxes below it.",
    "mailboxHasEmail": "The mailbox is not empty.",
    "tooManyKeywords": "The message has as many keywords as the mail backend allows.",
    "tooManyMailboxes": "The message is in as many mailboxes as the mail backend allows.",
}

_PROBLEM = "urn:ietf:params:jmap:error:"
_SIZE_LIMITS = {"maxSizeRequest", "maxCallsInRequest", "maxObjectsInGet", "maxObjectsInSet", "maxSizeUpload"}


def map_method_error(error: MethodError, what: str) -> MethodFailure:
    """Return the error of a refused method call; `what` says for the operator which call, and where.

    A type that is not known counts as serverFail (RFC 8620 section 3.6.2).
    """
    kind = _BY_METHOD_ERROR.get(error.type, MethodFailed)
    named = error.arguments if isinstance(error.arguments, list) else []
    details = [error.description, *(name for name in named if isinstance(name, str))]
    return kind(f"{what}: {_described(error.type, ' '.join(text for text in details if text))}", type=error.type)


def map_set_error(error: SetError, what: str) -> ConnectorError:
    """Return the error of an object that was not created, changed or destroyed; `what` says which and where.

    Where an error means something else in its place (notFound of a message to be expunged, alreadyExists of an import)
    the caller looks at `error.type` first.
    """
    text = f"{what}: {_described(error.type, error.description)}"
    if error.properties:
        text += f" [{_shown(', '.join(error.properties))}]"
    kind = _BY_SET_ERROR.get(error.type, Rejected)
    if kind is RateLimited:
        return RateLimited(text, retry_after_s=LIMIT_RETRY_S)
    return kind(text, client_text=_CLIENT_TEXTS.get(error.type))


def map_problem(problem: Problem, status: int, what: str) -> ConnectorError:
    """Return the error of a request refused as a whole (RFC 8620 section 3.6.1); nothing of it was done."""
    reason = problem.type.removeprefix(_PROBLEM)
    detail = " ".join(text for text in (problem.limit, problem.detail or problem.title) if text)
    text = f"{what}: HTTP {status}, {_described(reason, detail)}"
    if reason == "limit":
        if problem.limit in _SIZE_LIMITS:
            return TooLarge(text)
        return RateLimited(text, retry_after_s=LIMIT_RETRY_S)
    if reason == "unknownCapability":
        return Unsupported(text)
    return Rejected(text)


def _described(kind: str, description: str | None) -> str:
    """Join a type and its description: both are the server's words."""
    return _shown(f"{kind} ({description})" if description else kind)


def _shown(words: str) -> str:
    """Return words of the server on one line of bounded length, without what looks like a secret it might repeat."""
    return excerpt(words.encode("utf-8", "replace"))
