"""What goes wrong at an IMAP server, in the words of the contract.

ConnectorError
|- Unavailable
|  `- ConnectionLost    the connection ended, fell silent or sent what is no IMAP; it is closed and must not be used
|     |- SilentServer   nothing came within the time-out
|     `- MalformedReply the server's answer was against the grammar
|- RateLimited
|  `- Throttled         the server asks the whole account to wait
`- ...                  a NO or BAD, by its response code (RFC 5530, RFC 4315, RFC 7889, RFC 9208)

Gmail and Exchange have no codes for being throttled, or for a moment's trouble, but always the same words.
"""

from __future__ import annotations

import re

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
_MAX_RETRY_S = 3600.0

# Exchange: `Request is throttled. Suggested Backoff Time: 299961 milliseconds`, with NO or BAD. Gmail: `[OVERQUOTA]
# Account exceeded command or bandwidth limits. (Failure)`, of which the account is not full.
_THROTTLED = re.compile(r"request is throttled|exceeded command or bandwidth limits", re.IGNORECASE)
_BACKOFF = re.compile(r"backoff time: (\d{1,12}) milliseconds", re.IGNORECASE)
# Exchange answers so to every command of a session whose login was taken and that has no mailbox behind it (any more).
_CUT_OFF = "authenticated but not connected"
_PASSING = re.compile(
    r"temporary (?:\w+ )?(?:error|failure|problem)|temporarily unavailable|server unavailable|try again later",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"too many|maximum number of connections", re.IGNORECASE)

_OF_NO_MESSAGE = re.compile(
    rb"\* (?:LIST|LSUB|XLIST|STATUS|FLAGS|E?SEARCH|CAPABILITY|NAMESPACE|ENABLED|VANISHED|ID|QUOTA|QUOTAROOT)\b",
    re.IGNORECASE,
)
_OF_A_MESSAGE = re.compile(rb"\* [0-9]{1,10} FETCH\b", re.IGNORECASE)
_SHOWN_OCTETS = 80


def shown_line(line: bytes) -> str:
    """Return as much of a broken response as may stand in a log: nothing that can be text of a message.

    Where a server announces a literal shorter than it sends, the rest of the message is read as responses.
    """
    if _OF_NO_MESSAGE.match(line):
        return repr(line[:_SHOWN_OCTETS])
    head = _OF_A_MESSAGE.match(line)
    return f"{head[0]!r}..." if head is not None else "a line that begins like no response"


class Throttled(RateLimited):
    """The server wants nothing to be asked for the account for `retry_after_s`, by whatever connection."""


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
    if _THROTTLED.search(text) or (code is not None and code.name.upper() == b"THROTTLED"):
        told = _BACKOFF.search(text)
        retry_s = min(int(told[1]) / 1000, _MAX_RETRY_S) if told is not None else _LIMIT_RETRY_S
        return Throttled(operator_text, retry_after_s=retry_s)
    if _CUT_OFF in text.lower():
        return ConnectionLost(operator_text)
    known = _BY_CODE.get(code.code) if code is not None and code.code is not None else None
    if status is Status.BAD and known is not Unavailable:
        return Unavailable(operator_text) if _PASSING.search(text) else Rejected(operator_text)
    if known is RateLimited:
        return RateLimited(operator_text, retry_after_s=_LIMIT_RETRY_S)
    if known is None and _PASSING.search(text):
        return Unavailable(operator_text)
    return (known or Rejected)(operator_text)


def from_session(what: str, status: Status, code: ResponseCode | None, text: str) -> ConnectorError:
    """Return the error for a NO or BAD to a command after the login.

    Gmail answers `[AUTHENTICATIONFAILED]` to whatever is asked in a session whose token has expired: the session is
    lost. Whether the credentials are still good only the next login tells.
    """
    error = from_status(what, status, code, text)
    if not isinstance(error, AuthExpired):
        return error
    is_of_mailbox = code is not None and code.code is Code.AUTHORIZATIONFAILED
    return (Denied if is_of_mailbox else ConnectionLost)(error.operator_text)


def from_greeting(lost: ConnectionLost) -> ConnectorError:
    """Return the error for a connection that is lost before the login: some say BYE to one too many."""
    if _TOO_MANY.search(lost.operator_text):
        return RateLimited(lost.operator_text, retry_after_s=_LIMIT_RETRY_S)
    return lost


def from_login(what: str, status: Status, code: ResponseCode | None, text: str) -> ConnectorError:
    """Return the error for a NO or BAD to LOGIN or AUTHENTICATE: refused credentials, unless it says otherwise."""
    error = from_status(what, status, code, text)
    if isinstance(error, (RateLimited, Unavailable)):
        return error
    if _TOO_MANY.search(text):
        # Gmail, Exchange and older Dovecots refuse a login beyond their number of connections like a wrong password.
        return RateLimited(error.operator_text, retry_after_s=_LIMIT_RETRY_S)
    if isinstance(error, (Denied, Unsupported)) or status is Status.BAD:
        return error
    return AuthExpired(error.operator_text)
