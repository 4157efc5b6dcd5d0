from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.message.long_sort import SORTED_AT_ONCE, _parted, long_sort


@given(st.lists(st.integers(0, 6), max_size=40), st.booleans(), st.integers(1, 50), st.randoms())
def test_sorted_in_pieces_it_is_as_sorted_at_once(
    keys: list[int], is_reversed: bool, at_once: int, chance: Random
) -> None:
    numbers = list(range(len(keys)))
    chance.shuffle(numbers)
    found = long_sort(numbers, keys, is_reversed=is_reversed, at_once=at_once)
    assert found == sorted(numbers, key=keys.__getitem__, reverse=is_reversed)


def test_no_step_is_about_more_than_are_sorted_at_once() -> None:
    chance = Random(1)
    count = 5 * SORTED_AT_ONCE
    keys = [chance.randrange(1 << 40) ** 2 for _ in range(count)]
    parts = _parted(range(count), keys, 10)
    assert sum(map(len, parts)) == count
    assert max(map(len, parts)) < SORTED_AT_ONCE
