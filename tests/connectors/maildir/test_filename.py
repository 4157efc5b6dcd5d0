"""Names of message files."""

from __future__ import annotations

import pytest

from connectors.maildir.filename import (
    FileName,
    Sizes,
    UniqueNames,
    base_with_sizes,
    message_ref,
    order,
    parse,
    sizes,
)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("1.a.host", FileName("1.a.host")),
        ("1.a.host:2,", FileName("1.a.host")),
        ("1.a.host,S=5,W=6:2,FSab", FileName("1.a.host,S=5,W=6", "FSab")),
        ("1.a.host:2,S,extra=1", FileName("1.a.host", "S", ",extra=1")),
        ("1.a.host:1,S", FileName("1.a.host")),
        ("1.a.host:", FileName("1.a.host")),
    ],
)
def test_a_name_is_taken_apart(name: str, parsed: FileName) -> None:
    assert parse(name) == parsed


def test_what_is_not_ours_stays_in_the_name() -> None:
    assert str(parse("1.a.host:2,S,extra=1")) == "1.a.host:2,S,extra=1"


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("1.a.host", Sizes()),
        ("1.a.host,S=5", Sizes(5)),
        ("1.a.host,S=5,W=6", Sizes(5, 6)),
        ("1.a.host,W=6,S=5", Sizes(5, 6)),
        ("1.a.host,S=5,W=6,V", Sizes(5, 6, is_verbatim=True)),
        ("1.a.host,S=x,W=,V", Sizes()),
        ("1.S=9.host", Sizes()),
    ],
)
def test_sizes_are_read_from_the_base_name(base: str, expected: Sizes) -> None:
    assert sizes(base) == expected


def test_only_a_message_with_bare_lf_is_marked() -> None:
    assert base_with_sizes("u", 5, 5) == "u,S=5,W=5"
    assert base_with_sizes("u", 5, 6) == "u,S=5,W=6,V"
    assert sizes(base_with_sizes("u", 5, 6)).served == 5
    assert sizes("u,S=5,W=6").served == 6


def test_messages_are_ordered_by_second_then_microsecond_then_name() -> None:
    names = [
        "999.M999999P1.host",
        "1000.M5P1.host",
        "1000.M40P1.host",
        "1000.M000050P1R12M9.host",
        "1001.abcM1.host",
        "1001.x.host",
    ]
    assert sorted(set(names), key=lambda name: order(name, 0)) == [*names[:4], names[5], names[4]]


def test_a_name_without_a_time_is_ordered_by_the_time_of_the_file() -> None:
    assert order("odd", 1_000_000_003_000) == (1000, 3, "odd")


def test_unique_names_rise_even_if_the_clock_stands_or_goes_back() -> None:
    times = iter([1000.0, 1000.0, 999.0, 1000.5])
    names = UniqueNames(lambda: next(times))
    made = [names.next() for _ in range(4)]
    assert sorted(made, key=lambda name: order(name, 0)) == made
    assert len(set(made)) == 4


def test_a_ref_can_always_be_written_as_utf8() -> None:
    assert message_ref("1.a.host") == "1.a.host"
    assert message_ref("1.a.host,S=1,W=2,U=34") == message_ref("1.a.host,U=5,S=1,W=2") == "1.a.host,S=1,W=2"
    assert message_ref("1.a.host,U=x") == "1.a.host,U=x"
    assert message_ref("1.\udcff.host") == "hex:312eff2e686f7374"
