from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.transport.messages import Headers
from connectors.transport.retry_after import MAX_RETRY_AFTER_S, parse_retry_after, server_time

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("99999999999999999999", MAX_RETRY_AFTER_S),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Friday, 02-Jan-26 03:04:35 GMT", 30.0),
        ("Fri Jan  2 03:04:35 2026", 30.0),
        ("Fri, 02 Jan 2026 03:03:00 GMT", 0.0),
        ("Fri, 02 Jan 2099 03:04:35 GMT", MAX_RETRY_AFTER_S),
        ("-5", None),
        ("", None),
        (".", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("\u0663", None),
        ("9" * 400, None),
        ("Fri, 99 Jan 2026 03:04:35 GMT", None),
    ],
)
def test_seconds_and_dates_are_read_and_bounded(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("fields", "moment"),
    [
        ({"Date": "Fri, 02 Jan 2026 02:04:05 GMT"}, datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ({"date": "Fri, 02 Jan 2026 05:04:05"}, datetime(2026, 1, 2, 5, 4, 5, tzinfo=UTC)),
        ({}, NOW),
        ({"Date": "yesterday"}, NOW),
        ({"Date": ""}, NOW),
        ({"Date": "Fri, 99 Jan 2026 03:04:35 GMT"}, NOW),
    ],
)
def test_the_time_is_that_of_the_servers_clock(fields: dict[str, str], moment: datetime) -> None:
    assert server_time(Headers(fields.items()), NOW) == moment
