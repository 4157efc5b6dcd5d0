from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.jmap import checks
from tests.fakes.jmap.errors import MethodFailure

GOOD: list[tuple[Callable[[object], Any], object]] = [
    (checks.identifier, "aZ09-_"),
    (checks.reference, "#k1"),
    (checks.keyword, "$seen"),
    (checks.keyword, "a[b]"[:2]),
    (checks.utc_date, "2024-02-29T23:59:59Z"),
    (checks.utc_date, "2024-02-29T23:59:59.5Z"),
    (checks.unsigned, 0),
    (checks.positive, 2**53 - 1),
    (checks.nullable(checks.text), None),
    (checks.list_of(checks.text), ["a", "b"]),
    (checks.map_of(checks.identifier, checks.true_only), {"a": True}),
]
BAD: list[tuple[Callable[[object], Any], object]] = [
    (checks.identifier, ""),
    (checks.identifier, "a b"),
    (checks.identifier, "#a"),
    (checks.identifier, "a" * 256),
    (checks.identifier, 5),
    (checks.reference, "##a"),
    (checks.keyword, "\\seen"),
    (checks.keyword, "a b"),
    (checks.keyword, "a(b"),
    (checks.keyword, "a]"),
    (checks.keyword, "é"),
    (checks.utc_date, "2024-01-01T00:00:00+00:00"),
    (checks.utc_date, "2024-01-01t00:00:00z"),
    (checks.utc_date, "2024-01-01T00:00:00.0Z"),
    (checks.utc_date, "2024-02-30T00:00:00Z"),
    (checks.integer, True),
    (checks.integer, 1.0),
    (checks.integer, 2**53),
    (checks.unsigned, -1),
    (checks.positive, 0),
    (checks.boolean, 1),
    (checks.true_only, False),
    (checks.list_of(checks.text), "a"),
    (checks.list_of(checks.text), [1]),
    (checks.mapping, []),
    (checks.one_of(("a",)), "b"),
]


@pytest.mark.parametrize(("check", "value"), GOOD)
def test_what_fits_is_taken(check: Callable[[object], Any], value: object) -> None:
    check(value)


@pytest.mark.parametrize(("check", "value"), BAD)
def test_what_does_not_fit_is_refused(check: Callable[[object], Any], value: object) -> None:
    with pytest.raises(checks.Mismatch):
        check(value)


def test_keywords_come_in_lower_case() -> None:
    assert checks.keyword("$Forwarded") == "$forwarded"


def test_an_argument_left_over_is_refused() -> None:
    arguments = checks.Arguments({"a": 1, "b": 2})
    assert arguments.required("a", checks.integer) == 1
    with pytest.raises(MethodFailure, match="unknown argument: b"):
        arguments.finish()


def test_a_missing_argument_is_refused_and_counts_as_violation() -> None:
    with pytest.raises(MethodFailure) as caught:
        checks.Arguments({}).required("a", checks.integer)
    assert caught.value.kind == "invalidArguments"
    assert caught.value.is_violation
