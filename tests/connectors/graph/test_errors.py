"""What Graph's refusals mean, and what an operator is told of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

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
from connectors.graph.errors import Refusal, Refused
from connectors.transport.messages import Effect, Headers

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def refusal(status: int, code: str = "Code", message: str = "No.", **headers: str) -> Refusal:
    body = f'{{"error":{{"code":"{code}","message":"{message}","innerError":{{"request-id":"r-1"}}}}}}'
    fields = Headers((name.replace("_", "-"), value) for name, value in headers.items())
    return Refusal.read(status, fields, body.encode(), NOW)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ErrorInvalidIdMalformed", Rejected),
        (400, "InefficientFilter", Rejected),
        (400, "syncStateNotFound", CursorExpired),
        (400, "ErrorQuotaExceeded", OverQuota),
        (400, "ErrorMessageSizeExceeded", TooLarge),
        (401, "InvalidAuthenticationToken", AuthExpired),
        (403, "ErrorAccessDenied", Denied),
        (403, "ErrorCannotDeleteObject", Denied),
        (404, "ErrorItemNotFound", NotFound),
        (404, "itemNotFound", NotFound),
        (404, "ErrorFolderNotFound", NotFound),
        (404, "MailboxNotEnabledForRESTAPI", Denied),
        (404, "ErrorInvalidUser", Denied),
        (404, "Request_ResourceNotFound", Denied),
        (404, "ResourceNotFound", Unavailable),
        (404, "NotFound", Unavailable),
        (404, "UnknownError", Unavailable),
        (405, "MethodNotAllowed", Rejected),
        (409, "ErrorFolderExists", AlreadyExists),
        (409, "ErrorIrresolvableConflict", Unavailable),
        (410, "SyncStateNotFound", CursorExpired),
        (410, "resyncRequired", CursorExpired),
        (412, "ErrorIrresolvableConflict", Unavailable),
        (413, "RequestEntityTooLarge", TooLarge),
        (429, "TooManyRequests", RateLimited),
        (500, "InternalServerError", Unavailable),
        (500, "ErrorContentConversionFailed", Rejected),
        (500, "ErrorMimeContentConversionFailed", Rejected),
        (500, "ErrorItemCorrupt", Rejected),
        (503, "serviceNotAvailable", Unavailable),
        (504, "UnknownError", Unavailable),
        (507, "QuotaLimit", OverQuota),
        (509, "BandwidthLimitExceeded", RateLimited),
    ],
)
def test_status_and_code_say_what_is_meant(status: int, code: str, kind: type[ConnectorError]) -> None:
    error = refusal(status, code).error("a call", Effect.READ)
    assert isinstance(error, kind)
    assert isinstance(error, Refused)
    for word in ("a call", str(status), code, "r-1"):
        assert word in error.operator_text
    assert code not in error.client_text


@pytest.mark.parametrize("status", [200, 500, 502, 503, 504])
def test_a_failed_write_may_be_done(status: int) -> None:
    assert isinstance(refusal(status).error("a call", Effect.WRITE), OutcomeUnknown)
    assert isinstance(refusal(status).error("a call", Effect.IDEMPOTENT_WRITE), Unavailable)


def test_what_exchange_cannot_convert_is_refused_for_good() -> None:
    """Seen with 500: it is about one message, and would be so the next time."""
    found = refusal(500, "ErrorContentConversionFailed")
    assert not found.is_passing
    assert isinstance(found.error("a call", Effect.WRITE), Rejected)


def test_a_throttled_write_is_not_done() -> None:
    for each in (refusal(429), refusal(503, Retry_After="3"), refusal(509)):
        assert each.is_throttling
        assert isinstance(each.error("a call", Effect.WRITE), RateLimited)
    assert not refusal(503).is_throttling


def test_the_delay_is_told() -> None:
    error = refusal(429, Retry_After="17").error("a call", Effect.READ)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 17.0
    dated = refusal(503, Retry_After="Fri, 02 Jan 2026 03:04:15 GMT")
    assert dated.retry_after_s == 10.0
    skewed = refusal(503, Retry_After="Fri, 02 Jan 2026 09:00:20 GMT", Date="Fri, 02 Jan 2026 09:00:00 GMT")
    assert skewed.retry_after_s == 20.0


def test_too_many_at_a_time_is_told_from_too_many_in_all() -> None:
    assert refusal(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.").is_crowding
    assert not refusal(429, "TooManyRequests").is_crowding
    assert not refusal(403, "x", "concurrency").is_crowding


def test_codes_compare_in_any_case() -> None:
    assert refusal(403, "ErrorCannotDeleteObject").has_code("errorCannotDeleteObject", "x")
    assert not refusal(403, "").has_code("x")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "x"}', b"[]", b"\xff"])
@pytest.mark.parametrize("status", [403, 404, 409, 410])
def test_what_is_no_answer_of_graph_is_not_believed(status: int, body: bytes) -> None:
    read = Refusal.read(status, Headers([("request-id", "r-2")]), body, NOW)
    assert not read.is_of_api
    assert isinstance(read.error("a call", Effect.READ), Unavailable)
    assert "r-2" in read.error("a call", Effect.READ).operator_text


def test_nothing_of_the_server_breaks_a_line_or_shows_a_secret() -> None:
    body = rb'{"error":{"code":"A\nB","message":"x\ny Bearer abc.def","innerError":{"request-id":"r\r1"}}}'
    text = Refusal.read(400, Headers(), body, NOW).error("a call", Effect.READ).operator_text
    assert text.isprintable()
    assert "abc.def" not in text


def test_nulls_are_borne() -> None:
    body = b'{"error":{"code":null,"message":null,"innerError":null}}'
    assert Refusal.read(400, Headers(), body, NOW).is_of_api
