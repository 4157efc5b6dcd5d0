"""What an HTTP status means in the words of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from connectors.api.errors import Denied, NotFound, OverQuota, Rejected, TooLarge
from connectors.transport.messages import Headers
from connectors.transport.redaction import excerpt
from connectors.transport.retry import AttemptFailed, Trouble
from connectors.transport.retry_after import parse_retry_after, server_time

_UNLOOKED_AT = frozenset({408, 421, 425})
"""Request Timeout, Misdirected Request and Too Early: the server says that it has not acted on the request."""


def failure_for(
    status: int, headers: Headers, body: bytes, what: str, now: datetime, secrets: Iterable[str] = ()
) -> Exception:
    """Return the error for a status that was not wanted: one of the contract's, or an `AttemptFailed`.

    `what` names method, host and path. 401 is not for this function: it takes another credential first.
    """
    text = f"{what} was answered {status}"
    if status == 429 or (status == 503 and "retry-after" in headers):
        delay_s = parse_retry_after(headers.get("retry-after"), server_time(headers, now))
        return AttemptFailed(Trouble.THROTTLED, text, delay_s=delay_s)
    if status in _UNLOOKED_AT:
        return AttemptFailed(Trouble.UNSENT, text)
    if status == 503:
        return AttemptFailed(Trouble.OVERLOADED, text)
    if status in (404, 410):
        return NotFound(text)
    if status == 507:
        return OverQuota(text)
    if 500 <= status < 600 and status not in (501, 505):
        return AttemptFailed(Trouble.FAILED, text)
    if status == 407 or status < 400:
        # A proxy that wants a login, or a success or redirect that whoever asked has no use for.
        return AttemptFailed(Trouble.UNUSABLE, text)
    said = excerpt(body, secrets)
    text = f"{text}: {said}" if said else text
    if status == 403:
        return Denied(text)
    return TooLarge(text) if status == 413 else Rejected(text)
