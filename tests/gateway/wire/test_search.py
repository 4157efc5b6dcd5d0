from __future__ import annotations

import pytest

from gateway.wire.search import PartialRange


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (1, 3, "abc"),
        (3, 1, "abc"),
        (2, 2, "b"),
        (4, 100, "de"),
        (6, 100, ""),
        (-1, -1, "e"),
        (-1, -2, "de"),
        (-2, -1, "de"),
        (-4, -3, "bc"),
        (-100, -4, "ab"),
        (-1, -100, "abcde"),
        (-6, -100, ""),
    ],
)
def test_a_range_is_counted_from_the_end_where_it_is_negative(first: int, last: int, found: str) -> None:
    assert "abcde"[PartialRange(first, last).places()] == found


def test_a_range_is_written_as_it_was_asked() -> None:
    assert PartialRange(-1, -100).to_bytes() == b"-1:-100"
    assert PartialRange(500, 400).to_bytes() == b"500:400"
