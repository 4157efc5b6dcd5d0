from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.api.errors import ConnectorError, Denied, NotFound, OverQuota, Rejected, TooLarge
from connectors.transport.messages import Headers
from connectors.transport.retry import AttemptFailed, Trouble
from connectors.transport.statuses import failure_for

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def failure(status: int, body: bytes = b"", **fields: str) -> Exception:
    return failure_for(
        status, Headers((k.replace("_", "-"), v) for k, v in fields.items()), body, "GET h/p", NOW, ["s3"]
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (403, Denied),
        (404, NotFound),
        (409, Rejected),
        (410, NotFound),
        (412, Rejected),
        (413, TooLarge),
        (422, Rejected),
        (501, Rejected),
        (507, OverQuota),
    ],
)
def test_a_final_status_is_an_error_of_the_contract(status: int, kind: type[ConnectorError]) -> None:
    error = failure(status)
    assert type(error) is kind
    assert str(error) == f"GET h/p was answered {status}"


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (204, Trouble.UNUSABLE),
        (302, Trouble.UNUSABLE),
        (304, Trouble.UNUSABLE),
        (407, Trouble.UNUSABLE),
        (408, Trouble.UNSENT),
        (421, Trouble.UNSENT),
        (425, Trouble.UNSENT),
        (429, Trouble.THROTTLED),
        (500, Trouble.FAILED),
        (502, Trouble.FAILED),
        (503, Trouble.OVERLOADED),
        (504, Trouble.FAILED),
        (520, Trouble.FAILED),
    ],
)
def test_a_passing_status_is_a_failed_attempt(status: int, trouble: Trouble) -> None:
    error = failure(status)
    assert isinstance(error, AttemptFailed)
    assert error.trouble is trouble
    assert error.delay_s is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_to_come_again_throttles(status: int) -> None:
    for value, delay_s in (("7", 7.0), ("Fri, 02 Jan 2026 03:04:15 GMT", 10.0), ("never", None)):
        error = failure(status, retry_after=value)
        assert isinstance(error, AttemptFailed)
        assert error.trouble is Trouble.THROTTLED
        assert error.delay_s == delay_s


def test_when_to_come_again_is_reckoned_by_the_servers_clock() -> None:
    error = failure(503, retry_after="Fri, 02 Jan 2026 09:00:20 GMT", date="Fri, 02 Jan 2026 09:00:00 GMT")
    assert isinstance(error, AttemptFailed)
    assert error.delay_s == 20.0


def test_a_refusal_gives_the_servers_reason_without_secrets() -> None:
    assert str(failure(400, b"bad s3 name")) == "GET h/p was answered 400: bad *** name"
    assert str(failure(403, b"no")) == "GET h/p was answered 403: no"
