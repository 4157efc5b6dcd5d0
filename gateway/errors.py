"""The failures that a door reports to its client.

    GatewayError
    |- MailError         something about mail could not be done; `kind` says what
    `- OperatorError     wrong configuration, store or command line; `key` names the place

How a kind is told to an IMAP client (NO, BAD, BYE and the response code) is decided in `gateway.imap.errors` alone.
"""

from __future__ import annotations

import enum

from connectors.api import errors as connector_errors


class ErrorKind(enum.Enum):
    """Why something about mail could not be done."""

    NOT_FOUND = "not found"
    NO_SUCH_DESTINATION = "no such destination"
    ALREADY_EXISTS = "already exists"
    HAS_CHILDREN = "has children"
    INVALID_NAME = "invalid name"
    DENIED = "denied"
    READ_ONLY = "read-only"
    AUTH_EXPIRED = "auth expired"
    RATE_LIMITED = "rate limited"
    OVER_QUOTA = "over quota"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome unknown"
    REJECTED = "rejected"
    BINARY_CONTENT = "binary content"
    EXPIRED = "expired"
    INTERNAL = "internal"


class GatewayError(Exception):
    """`client_text` may be shown to a mail client; `operator_text` is for logs and the command line."""

    def __init__(self, client_text: str, operator_text: str | None = None) -> None:
        super().__init__(operator_text or client_text)
        self.client_text = client_text
        self.operator_text = operator_text or client_text


class MailError(GatewayError):
    """Something about mail could not be done."""

    def __init__(self, kind: ErrorKind, client_text: str, operator_text: str | None = None) -> None:
        super().__init__(client_text, operator_text)
        self.kind = kind


class OperatorError(GatewayError):
    """The operator has to mend something; `key` is the configuration key or the argument, `source` the file."""

    def __init__(self, text: str, *, key: str | None = None, source: str | None = None) -> None:
        place = ": ".join(part for part in (source, key) if part)
        super().__init__("The server is not set up correctly.", f"{place}: {text}" if place else text)
        self.key = key
        self.source = source


_KINDS: tuple[tuple[type[connector_errors.ConnectorError], ErrorKind], ...] = (
    (connector_errors.NotFound, ErrorKind.NOT_FOUND),
    (connector_errors.AlreadyExists, ErrorKind.ALREADY_EXISTS),
    (connector_errors.Denied, ErrorKind.DENIED),
    (connector_errors.AuthExpired, ErrorKind.AUTH_EXPIRED),
    (connector_errors.RateLimited, ErrorKind.RATE_LIMITED),
    (connector_errors.OverQuota, ErrorKind.OVER_QUOTA),
    (connector_errors.TooLarge, ErrorKind.TOO_LARGE),
    (connector_errors.CursorExpired, ErrorKind.UNAVAILABLE),
    (connector_errors.Unsupported, ErrorKind.UNSUPPORTED),
    (connector_errors.Unavailable, ErrorKind.UNAVAILABLE),
    (connector_errors.OutcomeUnknown, ErrorKind.OUTCOME_UNKNOWN),
    # Before its parent: the first that fits is taken.
    (connector_errors.BinaryContent, ErrorKind.BINARY_CONTENT),
    (connector_errors.Rejected, ErrorKind.REJECTED),
)


def from_connector(error: connector_errors.ConnectorError) -> MailError:
    """Translate a connector's error; its texts are kept."""
    kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), ErrorKind.INTERNAL)
    return MailError(kind, error.client_text, error.operator_text)
