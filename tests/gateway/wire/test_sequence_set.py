from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sequence_set import MAX_NUMBER, STAR, SequenceSet, SequenceSetError

ENDS = st.one_of(st.just(STAR), st.integers(1, 60))
SETS = st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6).map(lambda pairs: SequenceSet(tuple(pairs)))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (b"1", ((1, 1),)),
        (b"*", ((STAR, STAR),)),
        (b"4294967295", ((MAX_NUMBER, MAX_NUMBER),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),  # RFC 9051 section 9, `sequence-set`
        (b"*:4,7:5", ((STAR, 4), (7, 5))),
    ],
)
def test_sets_both_ways(text: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    parsed = SequenceSet.parse(text)
    assert parsed.ranges == ranges
    assert not parsed.is_saved_result
    assert parsed.to_bytes() == text


def test_dollar_is_the_saved_result() -> None:
    parsed = SequenceSet.parse(b"$")
    assert parsed.is_saved_result
    assert parsed.ranges == ()
    assert parsed.to_bytes() == b"$"


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"01", b"1,", b",1", b"1,,2", b"1:", b":1", b"1:2:3", b"a", b"-1", b" 1", b"1 ", b"+1", b"1;2",
     b"4294967296", b"99999999999999999999", b"$,1", b"1:$", b"**", b"\xb2", b"1_0"],
)  # fmt: skip
def test_wrong_sets_are_refused(text: bytes) -> None:
    with pytest.raises(SequenceSetError):
        SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("text", "largest", "ranges"),
    [
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"*:4,5:7", 10, [(4, 10)]),
        (b"3291:*", 100, [(100, 3291)]),  # holds the last one even if that is below
        (b"*", 0, []),
        (b"1:*", 0, []),
        (b"3,1,2", 9, [(1, 3)]),
        (b"1:2,4", 9, [(1, 2), (4, 4)]),
        (b"1:9,2:3", 9, [(1, 9)]),
    ],
)
def test_resolve(text: bytes, largest: int, ranges: list[tuple[int, int]]) -> None:
    assert SequenceSet.parse(text).resolve(largest) == ranges


def test_select_gives_positions() -> None:
    uids = [5, 9, 12, 40]
    assert SequenceSet.parse(b"9:12,41").select(uids) == [1, 2]
    assert SequenceSet.parse(b"100:*").select(uids) == [3]
    assert SequenceSet.parse(b"1:*").select([]) == []


@pytest.mark.parametrize(
    ("numbers", "text"), [([], b""), ([3], b"3"), ([3, 1, 2, 2], b"1:3"), ([1, 3, 4, 9], b"1,3:4,9")]
)
def test_from_numbers_is_the_shortest_set(numbers: list[int], text: bytes) -> None:
    assert SequenceSet.from_numbers(numbers).to_bytes() == text


@given(SETS, st.integers(1, 60))
def test_resolved_ranges_hold_what_the_pairs_say(numbers: SequenceSet, largest: int) -> None:
    ranges = numbers.resolve(largest)
    flat = [number for low, high in ranges for number in range(low, high + 1)]
    expected: set[int] = set()
    for first, last in numbers.ranges:
        low, high = sorted((first or largest, last or largest))
        expected.update(range(low, high + 1))
    assert flat == sorted(expected)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(ranges))


@given(SETS)
def test_any_set_survives_the_wire(numbers: SequenceSet) -> None:
    assert SequenceSet.parse(numbers.to_bytes()) == numbers


@given(SETS, st.sets(st.integers(1, 60)).map(sorted))
def test_select_agrees_with_resolve(numbers: SequenceSet, uids: list[int]) -> None:
    ranges = numbers.resolve(uids[-1] if uids else 0)
    expected = [n for n, uid in enumerate(uids) if any(low <= uid <= high for low, high in ranges)]
    assert numbers.select(uids) == expected


@given(st.sets(st.integers(1, 200)))
def test_from_numbers_holds_exactly_those(numbers: set[int]) -> None:
    built = SequenceSet.from_numbers(numbers)
    assert [n for low, high in built.resolve(MAX_NUMBER) for n in range(low, high + 1)] == sorted(numbers)


@given(st.binary(max_size=12))
def test_any_text_parses_or_is_refused(text: bytes) -> None:
    try:
        parsed = SequenceSet.parse(text)
    except SequenceSetError:
        return
    assert SequenceSet.parse(parsed.to_bytes()) == parsed
