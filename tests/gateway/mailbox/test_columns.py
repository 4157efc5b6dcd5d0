from __future__ import annotations

from array import array
from collections import Counter

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


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "remove", "flags", "flag set", "look"]), st.integers(1, 40), st.integers(0, 3)
        )
    ),
)
def test_what_is_counted_and_remembered_is_what_is_there(steps: list[tuple[str, int, int]]) -> None:
    columns, unseen = Columns(), {1, 3}
    for step, uid, number in steps:
        if step == "put":
            columns.put(entry(uid, number))
        elif step == "remove":
            columns.remove(range(uid, uid + number + 1))
        elif step == "flags" and len(columns):
            start = uid % len(columns)
            columns.set_flags(start, array("I", [number]), 99)
            assert (columns.flag_sets[start], columns.modseqs[start]) == (number, 99)
        elif step == "flag set" and len(columns):
            position = uid % len(columns)
            columns.set_flag_set(position, number, 98)
            assert (columns.flag_sets[position], columns.modseqs[position]) == (number, 98)
        expected = next((at for at, flags in enumerate(columns.flag_sets) if flags in unseen), None)
        assert columns.first_with(unseen) == expected
        assert columns.flag_counts == dict(Counter(columns.flag_sets))
        assert columns.shared_uids() == columns.uids


def test_entries_at_the_end_are_appended_together() -> None:
    one_by_one, together = Columns(), Columns()
    entries = [entry(uid, uid % 3) for uid in range(1, 20)]
    for each in entries:
        one_by_one.put(each)
    together.extend(entries[:5])
    together.extend([])
    together.extend(entries[5:])
    assert [together.entry(at) for at in range(len(together))] == entries
    assert together.flag_counts == one_by_one.flag_counts


def test_a_run_is_found_where_nothing_lies_between() -> None:
    columns = Columns()
    columns.extend([entry(uid) for uid in (2, 4, 5, 9)])
    assert columns.run_of(array("I", [4, 5])) == 1
    assert columns.run_of(array("I", [2, 5])) is None
    assert columns.run_of(array("I", [9, 10])) is None


def test_uids_are_shared_until_they_change() -> None:
    columns = Columns()
    columns.put(entry(1))
    shared = columns.shared_uids()
    columns.put(entry(1, flag_set=2))
    assert columns.shared_uids() is shared
    columns.put(entry(2))
    assert list(shared) == [1]
    assert list(columns.shared_uids()) == [1, 2]
