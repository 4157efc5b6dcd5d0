from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.uid_batches import uid_batches


def test_the_highest_come_first_and_the_last_reaches_down_to_one() -> None:
    uids = [10, 20, 30, 40, 50]
    assert uid_batches(uids, 2) == [(50, 40), (39, 20), (19, 1)]
    assert uid_batches(uids, 5) == [(50, 1)]
    assert uid_batches(uids, 9) == [(50, 1)]
    assert uid_batches([7], 1) == [(7, 1)]
    assert uid_batches([], 1) == []


def test_some_of_the_batches() -> None:
    uids = [10, 20, 30, 40, 50]
    assert uid_batches(uids, 2, 2, 3) == [(39, 20), (19, 1)]
    assert uid_batches(uids, 2, 2, 2) == [(39, 20)]
    # What does not exist is left out.
    assert uid_batches(uids, 2, 3, 99) == [(19, 1)]
    assert uid_batches(uids, 2, 4, 99) == []


@given(st.sets(st.integers(1, 500)), st.integers(1, 60))
def test_each_batch_but_the_last_is_full_and_all_follow_one_another(found: set[int], size: int) -> None:
    uids = sorted(found)
    batches = uid_batches(uids, size)
    held = [[uid for uid in uids if low <= uid <= high] for high, low in batches]
    assert [len(batch) for batch in held[:-1]] == [size] * len(held[:-1])
    assert sorted(uid for batch in held for uid in batch) == uids
    assert [low - 1 for _, low in batches] == [high for high, _ in batches[1:]] + [0] * bool(batches)
