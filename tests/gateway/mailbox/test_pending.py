from __future__ import annotations

from gateway.mailbox.pending import Pending


def test_what_is_shared_is_told_once_and_stays_whole_for_others() -> None:
    shared = frozenset({1, 2, 3})
    first, second = Pending(), Pending()
    for pending in (first, second):
        pending.add(shared)
    first.discard([2])
    assert first.among([1, 2]) == {1}
    assert first.take(10) == {1, 3}
    assert first.take(10) == set()
    assert second.take(10) == {1, 2, 3}


def test_nothing_waits_at_first() -> None:
    pending = Pending()
    assert pending.among([1]) == set()
    pending.add(frozenset({4}))
    pending.add(frozenset({5}))
    assert pending.take(10) == {4, 5}


def test_of_many_some_are_taken_at_a_time() -> None:
    pending = Pending()
    pending.add(frozenset(range(25)))
    taken = [pending.take(10) for _ in range(3)]
    assert [len(part) for part in taken] == [10, 10, 5]
    assert set().union(*taken) == set(range(25))
    assert pending.is_empty
