"""Address fields and dates of messages that are rebuilt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.graph.addressing import Mailbox, read_addresses, read_date, system_time


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@example.org", [("", "a@example.org")]),
        (b"<a@example.org>", [("", "a@example.org")]),
        (b'"Example, Alex" <a@example.org>, b@x.example', [("Example, Alex", "a@example.org"), ("", "b@x.example")]),
        (b"Alex Example <a@example.org>", [("Alex Example", "a@example.org")]),
        (b"a@example.org (Alex Example)", [("Alex Example", "a@example.org")]),
        (b"=?utf-8?q?J=C3=B6rg?= <j@example.org>", [("Jörg", "j@example.org")]),
        (b"=?utf-8?q?Doe=2C_Jo?= <j@example.org>", [("Doe, Jo", "j@example.org")]),
        (b"J\xc3\xb6rg <j@example.org>", [("Jörg", "j@example.org")]),
        (b"Team: a@example.org, B <b@example.org>; c@example.org",
         [("", "a@example.org"), ("B", "b@example.org"), ("", "c@example.org")]),
        (b"undisclosed-recipients:;", []),
        (b"A <@relay.example,@other.example:a@example.org>", [("A", "a@example.org")]),
        (b"nobody, <>, a@b@c, x@example.org", [("", "x@example.org")]),
        (b"Alex <a@example.org", [("Alex", "a@example.org")]),
        (b"Alex (never closed <a@example.org>", [("Alex never closed", "a@example.org")]),
        (b'"odd one"@example.org', [("", '"odd one"@example.org')]),
        (b"a@example.org;b@example.org", [("", "a@example.org"), ("", "b@example.org")]),
        (b"", []),
    ],
)  # fmt: skip
def test_addresses_are_read(value: bytes, expected: list[tuple[str, str]]) -> None:
    assert read_addresses(value) == [Mailbox(*pair) for pair in expected]


@given(st.binary(max_size=200))
def test_anything_can_stand_in_an_address_field(value: bytes) -> None:
    for mailbox in read_addresses(value):
        assert "@" in mailbox.address
        assert mailbox.address.isprintable()


@pytest.mark.parametrize(
    "filling",
    [b"(" * 100_000, b"(a)" * 50_000, b'\\"' * 100_000 + b",", b"a " * 100_000 + b",", b'"\\' * 99_999 + b","],
)
def test_no_filling_keeps_an_address_from_being_read(filling: bytes) -> None:
    assert read_addresses(filling + b"a@example.org")[-1].address == "a@example.org"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Tue, 02 Jan 2024 03:04:05 +0200", datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)),
        (b"2 Jan 2024 03:04:05 -0000", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (b"Tue, 2 Jan 2024 03:04:05 +0000 (a comment)", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (b"yesterday", None),
        (b"", None),
        (b"Tue, 02 Jan 1500 03:04:05 +0000", None),
        (b"Tue, 02 Jan 9999 99:04:05 +9999", None),
    ],
)
def test_dates_are_read(value: bytes, expected: datetime | None) -> None:
    assert read_date(value) == expected


def test_system_time_is_in_whole_seconds_of_utc() -> None:
    assert system_time(datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2024-01-02T03:04:05Z"
