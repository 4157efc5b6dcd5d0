"""What goes wrong at an IMAP server, in the words of the contract.

ConnectorError
|- Unavailable
|  `- ConnectionLost    the connection ended, fell silent or sent what is no IMAP; it is closed and must not be used
|     |- SilentServer   nothing came within the time-out
|     `- MalformedReply the server's answer was against the grammar
`- ...                  a NO or BAD, by its response code (RFC 5530, RFC 4315, RFC 7889, RFC 9208)
"""

from __future__ import annotations

from connectors.api.errors import (
    AlreadyExists,
    AuthExpired,
    ConnectorError,
    Denied,
    NotFound,
    OverQuota,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from gateway.wire.codes import Code, Status
from gateway.wire.responses import ResponseCode

_BY_CODE: dict[Code, type[ConnectorError]] = {
    Code.ALREADYEXISTS: AlreadyExists,
    Code.AUTHENTICATIONFAILED: AuthExpired,
    Code.AUTHORIZATIONFAILED: AuthExpired,
    Code.BADCHARSET: Unsupported,
    Code.CANNOT: Unsupported,
    Code.CONTACTADMIN: Denied,
    Code.EXPIRED: AuthExpired,
    Code.INUSE: Unavailable,
    Code.LIMIT: RateLimited,
    Code.NONEXISTENT: NotFound,
    Code.NOPERM: Denied,
    Code.OVERQUOTA: OverQuota,
    Code.PRIVACYREQUIRED: Denied,
    Code.READ_ONLY: Denied,
    Code.SERVERBUG: Unavailable,
    Code.TOOBIG: TooLarge,
    Code.TRYCREATE: NotFound,
    Code.UNAVAILABLE: Unavailable,
}
_LIMIT_RETRY_S = 60.0


class ConnectionLost(Unavailable):
    """The connection ended, fell silent, or is not IMAP."""


class SilentServer(ConnectionLost):
    """Nothing came within the time-out."""


class MalformedReply(ConnectionLost):
    """The server's answer is against the grammar."""


def from_status(what: str, status: Status, code: ResponseCode | None, text: str) -> ConnectorError:
    """Return the error for a NO or BAD to `what`, a phrase for the operator such as `SELECT at imap.example.org`."""
    shown = f"[{code.name.decode('ascii', 'replace')}] {text}" if code is not None else text
    operator_text = f"{what}: {status.name} {shown}"[:1000]
    if status is Status.BAD:
        return Rejected(operator_text)
    kind = _BY_CODE.get(code.code, Rejected) if code is not None and code.code is not None else Rejected
    if kind is RateLimited:
        return RateLimited(operator_text, retry_after_s=_LIMIT_RETRY_S)
    return kind(operator_text)


def from_login(what: str, status: Status, code: ResponseCode | None, text: str) -> ConnectorError:
    """Return the error for a NO or BAD to LOGIN or AUTHENTICATE: refused credentials, unless it says otherwise."""
    error = from_status(what, status, code, text)
    if code is not None and code.code in (Code.UNAVAILABLE, Code.INUSE, Code.LIMIT, Code.SERVERBUG, Code.CONTACTADMIN):
        return error
    if "too many" in text.lower():
        # Gmail and Exchange refuse a login beyond their number of connections like a wrong password.
        return RateLimited(error.operator_text, retry_after_s=_LIMIT_RETRY_S)
    if isinstance(error, (Denied, Unsupported)) or status is Status.BAD:
        return error
    return AuthExpired(error.operator_text)
