from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.api import errors as contract
from connectors.gmail.errors import Refusal, Refused
from connectors.transport.messages import Effect, Headers
from tests.fakes.gmail.errors import ApiError, insufficient_scope, minute_quota, not_found, throttled, too_many_at_once

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def refusal(error: ApiError) -> Refusal:
    return Refusal.read(error.code, Headers(error.headers.items()), json.dumps(error.body()).encode(), NOW)


@pytest.mark.parametrize(
    ("error", "kind", "is_throttling"),
    [
        (ApiError(400, "invalidArgument", "Invalid label name"), contract.Rejected, False),
        (ApiError(400, "failedPrecondition", "Precondition check failed."), contract.Rejected, False),
        (ApiError(401, "authError", "Invalid Credentials"), contract.AuthExpired, False),
        (insufficient_scope(frozenset({"x"})), contract.Denied, False),
        (ApiError(403, "forbidden", "Delegation denied"), contract.Denied, False),
        (ApiError(403, "domainPolicy", "The domain administrators have disabled Gmail apps."), contract.Denied, False),
        (ApiError(403, "accessNotConfigured", "Gmail API has not been used"), contract.Denied, False),
        (minute_quota("1"), contract.RateLimited, True),
        (throttled("userRateLimitExceeded", 403, None), contract.RateLimited, True),
        (throttled("rateLimitExceeded", 429, None), contract.RateLimited, True),
        (throttled("dailyLimitExceeded", 403, None), contract.RateLimited, False),
        (throttled("dailyLimitExceeded", 429, None), contract.RateLimited, False),
        (too_many_at_once(), contract.RateLimited, True),
        (not_found(), contract.NotFound, False),
        (ApiError(409, "aborted", "Label name exists or conflicts"), contract.AlreadyExists, False),
        (ApiError(413, "uploadTooLarge", "Request is too large"), contract.TooLarge, False),
        (ApiError(403, "storageQuotaExceeded", "The storage is full"), contract.OverQuota, False),
        (ApiError(418, "teapot", "short and stout"), contract.Rejected, False),
        (ApiError(503, "backendError", "unavailable"), contract.Unavailable, False),
    ],
    ids=lambda value: value.reason if isinstance(value, ApiError) else None,
)
def test_status_and_reason_say_which_error_it_is(
    error: ApiError, kind: type[contract.ConnectorError], is_throttling: bool
) -> None:
    found = refusal(error)
    assert found.is_throttling is is_throttling
    raised = found.error("the call", Effect.READ)
    assert isinstance(raised, Refused)
    assert isinstance(raised, kind)
    assert raised.operator_text.startswith(f"the call was answered {error.code} (")
    assert error.reason in raised.refusal.reasons
    assert raised.client_text == kind.default_text


def test_a_failure_over_a_write_leaves_it_open_whether_it_is_done() -> None:
    found = refusal(ApiError(500, "backendError", "oops"))
    assert isinstance(found.error("x", Effect.WRITE), contract.OutcomeUnknown)
    assert isinstance(found.error("x", Effect.IDEMPOTENT_WRITE), contract.Unavailable)


@pytest.mark.parametrize(("status", "kind"), [(404, contract.Unavailable), (403, contract.Unavailable)])
@pytest.mark.parametrize("body", [b"<html>The requested URL was not found</html>", b"", b"[1]", b'{"error": "x"}'])
def test_what_is_not_of_the_api_says_nothing_about_the_mail(
    status: int, kind: type[contract.ConnectorError], body: bytes
) -> None:
    raised = Refusal.read(status, Headers(), body, NOW).error("the call", Effect.READ)
    assert isinstance(raised, kind)
    assert not isinstance(raised, contract.NotFound)


def test_a_time_in_the_text_is_when_to_come_again() -> None:
    until = datetime(2026, 1, 2, 3, 5, 0, 500000, tzinfo=UTC)
    assert refusal(throttled("userRateLimitExceeded", 429, until)).retry_after_s == 55.5
    past = datetime(2025, 1, 1, tzinfo=UTC)
    assert refusal(throttled("userRateLimitExceeded", 429, past)).retry_after_s == 0
    assert refusal(ApiError(429, "x", "Retry after 2026-99-99T00:00:00.000Z")).retry_after_s is None


@pytest.mark.parametrize("skew_s", [-600, 600])
def test_a_time_in_the_text_is_one_of_googles_clock(skew_s: int) -> None:
    now = NOW + timedelta(seconds=skew_s)
    error = throttled("userRateLimitExceeded", 429, now + timedelta(seconds=30))
    error.headers["Date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert refusal(error).retry_after_s == 30


def test_retry_after_goes_before_the_text() -> None:
    error = throttled("userRateLimitExceeded", 429, datetime(2026, 1, 2, 3, 5, tzinfo=UTC))
    error.headers["Retry-After"] = "7"
    raised = refusal(error).error("x", Effect.READ)
    assert isinstance(raised, contract.RateLimited)
    assert raised.retry_after_s == 7


def test_a_spent_minute_is_told_from_too_much_at_once() -> None:
    assert refusal(minute_quota("1")).is_quota_spent
    assert refusal(throttled("userRateLimitExceeded", 403, None)).is_quota_spent
    assert not refusal(too_many_at_once()).is_quota_spent
    assert not refusal(throttled("dailyLimitExceeded", 403, None)).is_quota_spent


def test_after_a_spent_day_one_comes_again_much_later() -> None:
    raised = refusal(throttled("dailyLimitExceeded", 403, None)).error("x", Effect.READ)
    assert isinstance(raised, contract.RateLimited)
    assert raised.retry_after_s == 3600


def test_what_a_person_can_do_is_said() -> None:
    raised = refusal(ApiError(403, "accessNotConfigured", "Gmail API has not been used")).error("x", Effect.READ)
    assert "enable it in its console" in raised.operator_text


def test_nothing_that_looks_like_a_secret_is_shown() -> None:
    raised = refusal(ApiError(400, "invalidArgument", "Bad token ya29.a0AfB_byC0123456789")).error("x", Effect.READ)
    assert "Bad token" in raised.operator_text
    leaked = refusal(ApiError(400, "invalidArgument", "Bearer ya29.a0AfB_byC0123456789 is bad"))
    assert "ya29" not in leaked.error("x", Effect.READ).operator_text
