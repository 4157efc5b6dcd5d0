from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.marks import Marks

LENGTH = 20
positions = st.sets(st.integers(0, LENGTH - 1))


def marked(places: set[int]) -> Marks:
    return Marks.of(position in places for position in range(LENGTH))


def places_of(marks: Marks) -> set[int]:
    return set(marks.select(range(LENGTH)))


@given(positions, positions)
def test_marks_combine_like_sets(one: set[int], other: set[int]) -> None:
    left, right = marked(one), marked(other)
    assert places_of(left & right) == one & other
    assert places_of(left | right) == one | other
    assert places_of(left - right) == one - other
    assert (bool(left), left.count(), len(left)) == (bool(one), len(one), LENGTH)


@given(positions, positions)
def test_marks_of_a_part_are_spread_over_the_whole(part: set[int], chosen: set[int]) -> None:
    places = marked(part)
    within = Marks.of(position in chosen for position in sorted(part))
    assert places_of(within.spread(places)) == part & chosen


def test_ranges_are_half_open() -> None:
    assert Marks.of_ranges(6, [(0, 2), (4, 5)]).octets == b"\1\1\0\0\1\0"


def test_all_and_none_are_each_other_s_difference() -> None:
    assert Marks.all(3) - Marks.all(3) == Marks.none(3)
