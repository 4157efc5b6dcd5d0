from __future__ import annotations

from gateway.mailbox.pending import Pending


def test_what_is_shared_is_told_once_and_stays_whole_for_others() -> None:
    shared = frozenset({1, 2, 3})
    first, second = Pending(), Pending()
    for pending in (first, second):
        pending.add(shared)
    first.discard([2])
    assert first.among([1, 2]) == {1}
    assert first.take() == {1, 3}
    assert first.take() == set()
    assert second.take() == {1, 2, 3}


def test_nothing_waits_at_first() -> None:
    pending = Pending()
    assert pending.among([1]) == set()
    pending.add(frozenset({4}))
    pending.add(frozenset({5}))
    assert pending.take() == {4, 5}
