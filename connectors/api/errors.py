"""The errors a connector raises, and no other.

ConnectorError
|- NotFound          the mailbox or message does not exist (any more)
|- AlreadyExists     a mailbox of that name exists
|- Denied            the account may not do this
|- AuthExpired       the credentials are refused; a person must log in again
|- RateLimited       too many requests; try again after `retry_after_s`
|- OverQuota         the account's storage is full
|- TooLarge          the message or request exceeds the backend's limit
|- CursorExpired     the cursor is too old; list the mailbox in full
|- Unsupported       the backend has no such operation
|- Unavailable       the backend cannot be reached or is failing; nothing was done
|- OutcomeUnknown    the connection was lost after a write was sent; it may or may not have been done
`- Rejected          the backend refused this request for a reason of its own
   `- BinaryContent  it cannot keep a message with octets that are 0 as it is
"""

from __future__ import annotations


class ConnectorError(Exception):
    """A failure at the backend.

    `client_text` may be shown to the mail client: one line, no secrets, no internals.
    `operator_text` is for logs and the command line: what was asked of whom and what came back, no secrets.
    """

    default_text = "The mail backend reported an error."

    def __init__(self, operator_text: str, *, client_text: str | None = None) -> None:
        super().__init__(operator_text)
        self.operator_text = operator_text
        self.client_text = client_text or self.default_text


class NotFound(ConnectorError):
    default_text = "It does not exist at the mail backend."


class AlreadyExists(ConnectorError):
    default_text = "A mailbox of that name exists already."


class Denied(ConnectorError):
    default_text = "The mail backend does not permit this."


class AuthExpired(ConnectorError):
    default_text = "The mail backend asks for a new login to this account."


class RateLimited(ConnectorError):
    """`retry_after_s` is how long to wait: float seconds >= 0."""

    default_text = "The mail backend asks to slow down; try again later."

    def __init__(self, operator_text: str, *, retry_after_s: float = 1.0, client_text: str | None = None) -> None:
        super().__init__(operator_text, client_text=client_text)
        self.retry_after_s = retry_after_s


class OverQuota(ConnectorError):
    default_text = "The mail account is full."


class TooLarge(ConnectorError):
    default_text = "The message is larger than the mail backend takes."


class CursorExpired(ConnectorError):
    default_text = "The mailbox has to be listed anew."


class Unsupported(ConnectorError):
    default_text = "The mail backend cannot do this."


class Unavailable(ConnectorError):
    default_text = "The mail backend cannot be reached at present."


class OutcomeUnknown(ConnectorError):
    default_text = "The connection to the mail backend was lost; the outcome will be settled by the next sync."


class Rejected(ConnectorError):
    default_text = "The mail backend refused this."


class BinaryContent(Rejected):
    default_text = "The mail backend cannot keep a message with octets that are 0 as it is."
