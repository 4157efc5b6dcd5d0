"""What the stand-in refuses, in the JSON shape Google's servers use.

    {"error": {"code", "message", "errors": [{"message", "domain", "reason"}], "status", "details"?}}

`reason` is what a client must decide by: the same HTTP status stands for a full quota and for a missing right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(Exception):
    """A refusal: HTTP status `code`, Google's `reason` and `message`, and headers to send with it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        status: str | None = None,
        location: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.domain = domain
        self.status = status if status is not None else _STATUS.get(code)
        self.location = location
        self.headers = dict(headers or {})
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the reply body."""
        item: dict[str, Any] = {"message": self.message, "domain": self.domain, "reason": self.reason}
        if self.location is not None:
            item["locationType"], item["location"] = self.location
        error: dict[str, Any] = {"code": self.code, "message": self.message, "errors": [item]}
        if self.status is not None:
            error["status"] = self.status
        if self.details is not None:
            error["details"] = self.details
        return {"error": error}


def invalid(message: str) -> ApiError:
    """Return the 400 of an argument Gmail itself refuses."""
    return ApiError(400, "invalidArgument", message)


def malformed(message: str) -> ApiError:
    """Return the 400 of a request that does not fit the published description."""
    return ApiError(400, "badRequest", message)


def failed_precondition(message: str = "Precondition check failed.") -> ApiError:
    """Return the 400 of a call that is right in form, and impossible now."""
    return ApiError(400, "failedPrecondition", message, status="FAILED_PRECONDITION")


def not_found() -> ApiError:
    """Return the 404 of whatever is not, or no more, there."""
    return ApiError(404, "notFound", "Requested entity was not found.")


def unauthenticated() -> ApiError:
    """Return the 401 of a token that is wrong, expired or revoked."""
    text = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
    return ApiError(401, "authError", text, location=("header", "Authorization"), headers=challenge)


def login_required() -> ApiError:
    """Return the 401 of a request without a token."""
    challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
    return ApiError(401, "required", "Login Required.", location=("header", "Authorization"), headers=challenge)


def insufficient_scope(scopes: frozenset[str]) -> ApiError:
    """Return the 403 of a token whose scopes do not cover the method; `scopes` would."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
    }
    wanted = " ".join(sorted(scopes))
    challenge = f'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{wanted}"'
    text = "Request had insufficient authentication scopes."
    headers = {"WWW-Authenticate": challenge}
    return ApiError(403, "insufficientPermissions", text, headers=headers, details=[info])


def minute_quota(project: str) -> ApiError:
    """Return the 403 of a user whose units of this minute are spent."""
    text = (
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
        f"'gmail.googleapis.com' for consumer 'project_number:{project}'."
    )
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
    }
    return ApiError(403, "rateLimitExceeded", text, domain="usageLimits", details=[info])


def too_many_at_once() -> ApiError:
    """Return the 429 of a user with too many requests under way."""
    return ApiError(429, "rateLimitExceeded", "Too many concurrent requests for user.")


def throttled(reason: str, code: int, until: datetime | None) -> ApiError:
    """Return a throttle as Gmail words it: 403 or 429 by `reason`, with the end in the text where it is told."""
    if reason == "dailyLimitExceeded":
        return ApiError(code, reason, "Daily Limit Exceeded", domain="usageLimits")
    if until is not None:
        end = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return ApiError(code, reason, f"User-rate limit exceeded.  Retry after {end}", domain="usageLimits")
    if code == 429:
        return ApiError(code, reason, "Resource has been exhausted (e.g. check quota).")
    return ApiError(code, reason, "User Rate Limit Exceeded", domain="usageLimits")


def backend_error(code: int) -> ApiError:
    """Return a failure of Google's own: 500, 502, 503 or 504."""
    text = "The service is currently unavailable." if code == 503 else "Internal error encountered."
    return ApiError(code, "backendError", text)
