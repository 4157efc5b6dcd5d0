from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.columns import Columns, Entry


def entry(uid: int, flag_set: int = 0) -> Entry:
    return Entry(uid, uid * 10, flag_set, uid + 5, uid * 100, 1_700_000_000, 60, -1)


def test_an_entry_comes_back_as_it_was_put() -> None:
    columns = Columns()
    assert columns.put(entry(3))
    assert columns.entry(0) == entry(3)


def test_putting_a_known_uid_replaces_it() -> None:
    columns = Columns()
    columns.put(entry(3))
    assert not columns.put(entry(3, flag_set=7))
    assert (len(columns), columns.flag_sets[0]) == (1, 7)


@given(st.lists(st.integers(1, 300), max_size=200), st.lists(st.integers(1, 300), max_size=200))
def test_columns_are_a_sorted_map(added: list[int], removed: list[int]) -> None:
    columns = Columns()
    for uid in added:
        columns.put(entry(uid))
    taken = columns.remove(removed)
    left = sorted(set(added) - set(removed))
    assert list(columns.uids) == left
    assert [columns.entry(at) for at in range(len(columns))] == [entry(uid) for uid in left]
    assert taken == [entry(uid) for uid in sorted(set(added) & set(removed))]
    assert all(columns.index(uid) == at for at, uid in enumerate(left))
    assert columns.index(1000) is None
