from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.uid_arrays import FEW, without


@given(st.sets(st.integers(1, 400), max_size=200), st.integers(0, 2**32))
def test_what_is_gone_is_left_out_whether_few_or_many(uids: set[int], choice: int) -> None:
    known = sorted(uids)
    gone = [uid for place, uid in enumerate(known) if choice >> (place % 32) & 1]
    assert list(without(array("I", known), gone)) == [uid for uid in known if uid not in gone]


def test_few_are_cut_out_of_the_ends_and_the_middle() -> None:
    known = array("I", range(10, 10 + 10 * FEW))
    for gone in ([10], [known[-1]], [10, 11, known[-1]], [50, 52], []):
        assert list(without(known, gone)) == [uid for uid in known if uid not in gone]
    assert list(known) == list(range(10, 10 + 10 * FEW))
