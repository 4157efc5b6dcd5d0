"""What Microsoft Graph's refusals mean in the words of the contract.

ConnectorError
`- Refused            Graph refused a call; `refusal` is what it said. Each is also one of
   |- RefusedAuth      AuthExpired    401, and another token was refused too
   |- RefusedDenied    Denied         403, and 404 where there is no mailbox that Graph can reach
   |- RefusedMissing   NotFound       404: the message or folder is gone
   |- RefusedExisting  AlreadyExists  409
   |- RefusedState     CursorExpired  410, and 40x with the code syncStateNotFound
   |- RefusedConflict  Unavailable    412: something else has just changed the same item; read it again, and repeat
   |- RefusedSize      TooLarge       413
   |- RefusedFull      OverQuota      507, and where the code says so
   |- RefusedRate      RateLimited    429, 509, and 503 with a Retry-After
   |- RefusedFailed    Unavailable    5xx, or what is no answer of Graph
   |- RefusedUnknown   OutcomeUnknown 5xx after a write, or another success than was asked for
   `- RefusedRejected  Rejected       any other 4xx, and 500 where the code says that it is the message's own

Source: Microsoft, "Microsoft Graph error responses and resource types", and what is seen of Exchange's own codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from connectors.api.errors import (
    AlreadyExists,
    AuthExpired,
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
)
from connectors.graph.structs import ErrorReply
from connectors.transport.messages import Effect, Headers
from connectors.transport.redaction import excerpt
from connectors.transport.retry_after import parse_retry_after, server_time

_STATE: Final = frozenset({"syncstatenotfound", "resyncrequired", "syncstateinvalid"})
_SIZE: Final = frozenset({"errormessagesizeexceeded", "requestentitytoolarge", "maximumrequestlengthexceeded"})
_FULL: Final = frozenset({"errorquotaexceeded", "errormailboxquotaexceeded", "quotalimitreached"})
_CONFLICT: Final = frozenset({"errorirresolvableconflict"})
_CONTENT: Final = frozenset(
    {
        "errorcontentconversionfailed",
        "errormimecontentconversionfailed",
        "errormimecontentinvalid",
        "erroritemcorrupt",
        "errorcorruptdata",
    }
)
"""Codes that come with 500 too, and say that Exchange cannot make sense of one message, now or later.
Seen in issue 2913 of microsoft-graph-docs."""

_GONE: Final = re.compile(r"error[a-z]*notfound|itemnotfound")
"""Codes that come with 404 and say of one message or folder that it is gone. ResourceNotFound ("Resource could not be
discovered") is none of them: it is told of whole mailboxes, and has been in outages."""

_NO_MAILBOX: Final = frozenset(
    {
        "mailboxnotenabledforrestapi",
        "mailboxnotsupportedforrestapi",
        "errorinvaliduser",
        "errornonexistentmailbox",
        "request_resourcenotfound",
        "usernotfound",
        "mailboxnotfound",
        "errormailboxnotfound",
    }
)
"""Codes that come with 404 and are about the mailbox: they must never pass for a message that is gone."""

_HINTS: Final = {
    "mailboxnotenabledforrestapi": "this user has no mailbox that Graph can reach: it is inactive, without a licence, "
    "or on a server of the organisation's own",
    "mailboxnotsupportedforrestapi": "this mailbox cannot be reached over Graph",
    "errorinvaliduser": "there is no such mailbox: check the setting mailbox",
    "errornonexistentmailbox": "there is no such mailbox: check the setting mailbox",
    "request_resourcenotfound": "there is no such user: check the setting mailbox",
    "resourcenotfound": "Graph does not find the mailbox: there may be none, it may be on a server of the "
    "organisation's own, or Microsoft has an outage",
    "erroraccessdenied": "the login was not given the right to do this: check the permissions of the app registration "
    "(Mail.ReadWrite, for another's mailbox Mail.ReadWrite.Shared) and who has consented to them",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that was not wanted. `code` is Graph's word for why; empty if it is no answer of Graph.

    `message` is on one line and fit for operators. `request_id` is what Microsoft's support asks for. `retry_after_s`
    is given where the reply says when to come again.
    """

    status: int
    code: str = ""
    message: str = ""
    request_id: str = ""
    retry_after_s: float | None = None
    is_of_api: bool = True

    @classmethod
    def read(cls, status: int, headers: Headers, body: bytes, now: datetime) -> Refusal:
        """Read a reply; `now` is what its times are compared with if it does not tell its own."""
        delay_s = parse_retry_after(headers.get("retry-after"), server_time(headers, now))
        request_id = headers.get("request-id", "")
        try:
            error = msgspec.json.decode(body, type=ErrorReply).error
        except (msgspec.MsgspecError, ValueError):
            return cls(status, "", excerpt(body), _short(request_id), delay_s, is_of_api=False)
        if error.inner_error is not None and error.inner_error.request_id:
            request_id = error.inner_error.request_id
        message = excerpt((error.message or "").encode("utf-8", "replace"))
        return cls(status, _short(error.code or ""), message, _short(request_id), delay_s)

    def has_code(self, *codes: str) -> bool:
        """Tell whether the code is one of these; case does not matter, as Graph itself varies it."""
        return self.code.lower() in {code.lower() for code in codes}

    @property
    def is_throttling(self) -> bool:
        """Whether the call was not looked at since there are too many, and may be repeated in a while."""
        return self.status in (429, 509) or (self.status == 503 and self.retry_after_s is not None)

    @property
    def is_crowding(self) -> bool:
        """Whether it is throttling for how much is under way at once, not for how much there was in all."""
        return self.is_throttling and "concurrency" in self.message.lower()

    @property
    def is_passing(self) -> bool:
        """Whether what is only read may be had by asking again at once, or nearly."""
        is_failure = self.status in (500, 502, 503, 504) and self.code.lower() not in _CONTENT
        return self.is_throttling or is_failure

    def error(self, what: str, effect: Effect) -> ConnectorError:
        """Return the error; `what` says for the operator what was called, `effect` is that of the call."""
        said = _HINTS.get(self.code.lower()) or self.message
        text = f"{what} was answered {self.status}"
        text += f" ({self.code})" if self.code else ""
        text += f": {said}" if said else ""
        text += f" [request-id {self.request_id}]" if self.request_id else ""
        return self._kind(effect)(text, self)

    def _kind(self, effect: Effect) -> type[Refused]:
        code = self.code.lower()
        if self.is_throttling:
            return RefusedRate
        by_code = next((kind for codes, kind in _BY_CODE if code in codes), None)
        if by_code is not None and self.status >= 400:
            return by_code
        if self.status in _BY_STATUS:
            # A 404 of a server that is not Graph, a mistyped address perhaps, must not pass for deleted mail.
            is_trusted = self.is_of_api or self.status not in (403, 404, 409, 410)
            is_trusted = is_trusted and (self.status != 404 or bool(_GONE.fullmatch(code)))
            return _BY_STATUS[self.status] if is_trusted else RefusedFailed
        if self.status >= 500 or self.status < 400:
            return RefusedUnknown if effect is Effect.WRITE else RefusedFailed
        return RefusedRejected


class Refused(ConnectorError):
    """Graph refused a call. Raised only as one of its subclasses, which say what it means to the gateway."""

    def __init__(self, operator_text: str, refusal: Refusal) -> None:
        super().__init__(operator_text)
        self.refusal = refusal


class RefusedAuth(Refused, AuthExpired):
    """The access token is not good, and a new one was not either."""


class RefusedDenied(Refused, Denied):
    """The login or the application may not do this, or there is no such mailbox."""


class RefusedMissing(Refused, NotFound):
    """There is no such thing (any more)."""


class RefusedExisting(Refused, AlreadyExists):
    """There is such a thing already."""


class RefusedState(Refused, CursorExpired):
    """The position in the changes is too old."""


class RefusedConflict(Refused, Unavailable):
    """Something else was changing the item at the same time; nothing was done."""


class RefusedSize(Refused, TooLarge):
    """The message or the request is larger than Graph takes."""


class RefusedFull(Refused, OverQuota):
    """The mailbox is full."""


class RefusedRate(Refused, RateLimited):
    """Too many calls, or too many at once."""

    def __init__(self, operator_text: str, refusal: Refusal) -> None:
        super().__init__(operator_text, refusal)
        self.retry_after_s = 1.0 if refusal.retry_after_s is None else refusal.retry_after_s


class RefusedFailed(Refused, Unavailable):
    """Graph failed, and nothing was changed."""


class RefusedUnknown(Refused, OutcomeUnknown):
    """Graph failed over a write that it may have done."""


class RefusedRejected(Refused, Rejected):
    """The call made no sense to Graph."""


_BY_CODE: Final[tuple[tuple[frozenset[str], type[Refused]], ...]] = (
    (_STATE, RefusedState),
    (_SIZE, RefusedSize),
    (_FULL, RefusedFull),
    (_CONFLICT, RefusedConflict),
    (_NO_MAILBOX, RefusedDenied),
    (_CONTENT, RefusedRejected),
)

_BY_STATUS: Final[dict[int, type[Refused]]] = {
    401: RefusedAuth,
    403: RefusedDenied,
    404: RefusedMissing,
    409: RefusedExisting,
    410: RefusedState,
    412: RefusedConflict,
    413: RefusedSize,
    507: RefusedFull,
}


def _short(text: str) -> str:
    """Return a word of the server's as it may stand in a log."""
    return "".join(char for char in text if char.isprintable())[:80]
