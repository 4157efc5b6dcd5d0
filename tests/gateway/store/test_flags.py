"""Flag sets as bits and text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, FlagSet, decode, encode


@pytest.mark.parametrize(
    ("names", "bits", "keywords"),
    [
        ([], 0, ""),
        (["\\Seen"], SEEN, ""),
        (["\\sEEN", "\\ANSWERED"], SEEN | ANSWERED, ""),
        (["\\Flagged", "\\Deleted", "\\Draft"], FLAGGED | DELETED | DRAFT, ""),
        (["b", "a", "\\Seen"], SEEN, "a b"),
        (["\\Recent", "\\*", "\\Unheard"], 0, ""),
        (["$Junk", "$junk", "$JUNK"], 0, "$JUNK"),
    ],
)
def test_names_become_bits_and_text(names: list[str], bits: int, keywords: str) -> None:
    assert encode(names) == (bits, keywords)
    assert FlagSet.of(names) == FlagSet(bits, keywords)


def test_a_flag_set_is_told_in_one_order() -> None:
    names = FlagSet.of(["z", "\\Seen", "a", "\\Answered", "\\Draft"]).names()
    assert names == ("\\Answered", "\\Draft", "\\Seen", "a", "z")
    assert decode(0, "") == ()


@given(st.lists(st.sampled_from(["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$a", "b", "c"])))
def test_equal_sets_are_equal_values(names: list[str]) -> None:
    stored = FlagSet.of(names)
    assert stored == FlagSet.of(reversed(names))
    assert set(stored.names()) == set(names)
    assert FlagSet.of(stored.names()) == stored
