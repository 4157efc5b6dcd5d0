"""Ids and values of extended properties."""

from __future__ import annotations

import pytest

from tests.fakes.graph.errors import ApiError
from tests.fakes.graph.mapi import canonical, check_value

_GUID = "00062008-0000-0000-C000-000000000046"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Integer 0x0E07", "Integer 0xe07"),
        ("Long 0x0E08", "Long 0xe08"),
        ("String 0x007D", "String 0x7d"),
        (f"String {{{_GUID}}} Name ImapFlags", f"String {{{_GUID.lower()}}} Name ImapFlags"),
        (f"Integer {{{_GUID}}} Id 0x8570", f"Integer {{{_GUID.lower()}}} Id 0x8570"),
    ],
)
def test_ids_have_one_form(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    "text",
    ["0x0E07", "Integer 0E07", "Int 0x0E07", "String 0x0E07", "Integer 0x8570", "String {x} Name y", "Integer  0x0E07"],
)
def test_wrong_ids_are_refused_as_misuse(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        canonical(text)
    assert caught.value.is_misuse


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Integer 0x1081", "x"),
        ("Integer 0x1081", ""),
        ("SystemTime 0xe06", "yesterday"),
        ("Boolean 0x1", "1"),
        ("Binary 0x2", "%"),
    ],
)
def test_wrong_values_are_refused(name: str, value: str) -> None:
    with pytest.raises(ApiError):
        check_value(name, value)


def test_right_values_are_kept() -> None:
    for name, value in (("Integer 0x1081", "102"), ("SystemTime 0xe06", "2026-01-02T03:04:05Z"), ("String 0x7d", "")):
        assert check_value(name, value) == value
