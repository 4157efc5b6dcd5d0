"""The single map from what went wrong to what an IMAP client is told: status and response code (RFC 5530)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.errors import ErrorKind, MailError
from gateway.imap.completion import Completion
from gateway.store.errors import Conflict, StoreError, UidsExhausted
from gateway.wire.codes import Code, Status

# An expired login at the backend is UNAVAILABLE and not AUTHENTICATIONFAILED: clients throw away the stored password
# on the latter, and that password, the one for this server, is right.
CODES: Mapping[ErrorKind, Code | None] = MappingProxyType(
    {
        ErrorKind.NOT_FOUND: Code.NONEXISTENT,
        ErrorKind.NO_SUCH_DESTINATION: Code.TRYCREATE,
        ErrorKind.ALREADY_EXISTS: Code.ALREADYEXISTS,
        ErrorKind.HAS_CHILDREN: Code.HASCHILDREN,
        ErrorKind.INVALID_NAME: Code.CANNOT,
        ErrorKind.DENIED: Code.NOPERM,
        ErrorKind.READ_ONLY: Code.NOPERM,
        ErrorKind.AUTH_EXPIRED: Code.UNAVAILABLE,
        ErrorKind.RATE_LIMITED: Code.UNAVAILABLE,
        ErrorKind.OVER_QUOTA: Code.OVERQUOTA,
        ErrorKind.TOO_LARGE: Code.TOOBIG,
        ErrorKind.UNSUPPORTED: Code.CANNOT,
        ErrorKind.UNAVAILABLE: Code.UNAVAILABLE,
        ErrorKind.OUTCOME_UNKNOWN: Code.UNAVAILABLE,
        ErrorKind.REJECTED: None,
        # RFC 3516 section 4.4.
        ErrorKind.BINARY_CONTENT: Code.UNKNOWN_CTE,
        ErrorKind.EXPIRED: None,
        ErrorKind.INTERNAL: Code.SERVERBUG,
    }
)


def code_of(kind: ErrorKind) -> bytes | None:
    """Return the response code of a kind, in wire form; None if there is none that fits."""
    code = CODES[kind]
    return None if code is None else code.value


def completion_of(error: MailError) -> Completion:
    """Return the tagged NO for an error. Only its client text is used."""
    return Completion(Status.NO, error.client_text, code_of(error.kind))


SERVER_BUG = Completion(Status.NO, "Internal error. The server's log tells more.", Code.SERVERBUG.value)
"""The answer to a command that failed in a way nobody foresaw."""

STORE_UNUSABLE = Completion(
    Status.NO, "The server cannot store or read this at present. Please try again later.", Code.UNAVAILABLE.value
)
"""The answer where our own store fails: the disk is full, read-only or damaged. What it says of it has a path in it."""

UIDS_EXHAUSTED = Completion(Status.NO, "The mailbox can take no more messages.", Code.LIMIT.value)
"""The answer where a mailbox has given out its last UID."""


def store_completion(error: StoreError) -> Completion:
    """Return the tagged NO for an error of the store."""
    match error:
        case UidsExhausted():
            return UIDS_EXHAUSTED
        case Conflict():
            return SERVER_BUG
        case _:
            return STORE_UNUSABLE


class ClientError(Exception):
    """The client asked for what makes no sense; a handler's way to a tagged BAD. The text is for the client."""
