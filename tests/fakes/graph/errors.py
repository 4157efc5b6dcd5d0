"""What the stand-in refuses, in the JSON shape Graph uses.

{"error": {"code", "message", "innerError": {"date", "request-id", "client-request-id"}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

TOKEN_REALM: Final = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'


class ApiError(Exception):
    """A refusal: HTTP status, Graph's `code` and `message`, headers to send with it.

    `is_misuse`: the request is wrong in its form, which a conforming client never sends.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, is_misuse: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.is_misuse = is_misuse

    def body(self, request_id: str, now: datetime) -> dict[str, Any]:
        """Return the reply body."""
        inner = {
            "date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": request_id,
        }
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def misuse(code: str, message: str, status: int = 400) -> ApiError:
    """Return the refusal of a request that is wrong in its form."""
    return ApiError(status, code, message, is_misuse=True)


def bad_query(message: str) -> ApiError:
    """Return the 400 of a query parameter that cannot be."""
    return misuse("RequestBroker--ParseUri", message)


def bad_body(message: str) -> ApiError:
    """Return the 400 of a body that is not of its type."""
    return misuse("UnableToDeserializePostBody", f"were unable to deserialize {message}")


def not_found() -> ApiError:
    """Return the 404 of what is not, or no more, there."""
    return ApiError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def malformed_id() -> ApiError:
    """Return the 400 of what cannot be an id."""
    return misuse("ErrorInvalidIdMalformed", "Id is malformed.")


def denied(message: str = "Access is denied. Check credentials and try again.") -> ApiError:
    """Return the 403 of a right that is missing."""
    return ApiError(403, "ErrorAccessDenied", message)


def cannot_delete() -> ApiError:
    """Return the 403 of what is deleted already, told by its immutable id, or not deletable."""
    return ApiError(403, "ErrorCannotDeleteObject", "Cannot delete object.")


def folder_exists(name: str) -> ApiError:
    """Return the 409 of a name that is taken."""
    return ApiError(409, "ErrorFolderExists", f"A folder with the specified name already exists., {name}")


def conflict() -> ApiError:
    """Return the 412 that comes now and then with no cause a client could see."""
    text = (
        "The send or update operation could not be performed because the change key passed in the request does not "
        "match the current change key for the item."
    )
    return ApiError(412, "ErrorIrresolvableConflict", text)


def unauthenticated(message: str = "Access token has expired or is not yet valid.") -> ApiError:
    """Return the 401 of a token that is absent, wrong, expired or revoked."""
    return ApiError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": TOKEN_REALM})


def over_concurrency(retry_after_s: int | None) -> ApiError:
    """Return the 429 of a mailbox with too many requests under way."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    text = "Application is over its MailboxConcurrency limit."
    return ApiError(429, "ApplicationThrottled", text, headers=headers)


def throttled(retry_after_s: int | None, code: str = "TooManyRequests", message: str = "Too many requests") -> ApiError:
    """Return a 429; without a Retry-After if it is None."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return ApiError(429, code, message, headers=headers)


def too_large() -> ApiError:
    """Return the 413 of a request above Graph's limit."""
    return ApiError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")


def sync_state_not_found(status: int, location: str | None = None) -> ApiError:
    """Return the refusal of a delta token that is forgotten: 410 with where to begin anew, or another 40x without."""
    headers = {} if location is None else {"Location": location}
    code = "syncStateNotFound" if status == 410 else "SyncStateNotFound"
    return ApiError(status, code, "The sync state generation is not found.", headers=headers)
