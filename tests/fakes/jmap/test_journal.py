from __future__ import annotations

import pytest

from tests.fakes.jmap.journal import Change, Journal, UnknownState
from tests.fakes.jmap.options import FakeOptions, Quirk

PLAIN = FakeOptions()


def with_quirk(quirk: Quirk) -> FakeOptions:
    return FakeOptions(quirks=frozenset({quirk}))


def journal(*changes: str) -> Journal:
    """Return a journal of changes such as `+a`, `.a`, `#a` and `-a`."""
    kinds = {"+": Change.CREATED, ".": Change.UPDATED, "#": Change.COUNTED, "-": Change.DESTROYED}
    made = Journal("e")
    for change in changes:
        made.record(change[1:], kinds[change[0]])
    return made


@pytest.mark.parametrize(
    ("changes", "created", "updated", "destroyed"),
    [
        ((), [], [], []),
        (("+a", ".a"), ["a"], [], []),
        ((".a", ".a"), [], ["a"], []),
        ((".a", "-a"), [], [], ["a"]),
        (("+a", "-a"), [], [], []),
        (("+b", "-a"), ["b"], [], ["a"]),
    ],
)
def test_changes_to_one_object_are_told_as_one(
    changes: tuple[str, ...], created: list[str], updated: list[str], destroyed: list[str]
) -> None:
    page = journal(*changes).changes("e0", None, PLAIN)
    assert (page.created, page.updated, page.destroyed) == (created, updated, destroyed)
    assert (page.new_state, page.has_more) == (f"e{len(changes)}", False)


def test_pages_come_oldest_first_and_meet_without_gap() -> None:
    made = journal("+a", "+b", ".a", "+c")
    first = made.changes("e0", 2, PLAIN)
    assert (first.created, first.new_state, first.has_more) == (["a", "b"], "e3", True)
    second = made.changes("e3", 2, PLAIN)
    assert (second.created, second.new_state, second.has_more) == (["c"], "e4", False)


def test_what_was_created_on_a_page_may_be_destroyed_on_the_next() -> None:
    made = journal("+a", "+b", "-a")
    first = made.changes("e0", 1, PLAIN)
    assert (first.created, first.destroyed) == (["a"], [])
    second = made.changes(first.new_state, 1, PLAIN)
    assert (second.created, second.has_more) == (["b"], True)
    assert made.changes(second.new_state, 1, PLAIN).destroyed == ["a"]


def test_pages_may_come_newest_first_while_more_happens() -> None:
    options = with_quirk(Quirk.NEWEST_FIRST_CHANGES)
    made = journal("+a", "+b", "+c", "+d")
    first = made.changes("e0", 2, options)
    assert (first.created, first.has_more) == (["d", "c"], True)
    made.record("e", Change.CREATED)
    second = made.changes(first.new_state, 2, options)
    assert (second.created, second.new_state, second.has_more) == (["b", "a"], "e4", True)
    third = made.changes(second.new_state, 2, options)
    assert (third.created, third.new_state, third.has_more) == (["e"], "e5", False)


def test_newest_first_pages_tell_each_id_once() -> None:
    options = with_quirk(Quirk.NEWEST_FIRST_CHANGES)
    made = journal("+a", "+b", "-b", ".x", ".a")
    first = made.changes("e0", 1, options)
    assert (first.created, first.updated) == (["a"], [])
    second = made.changes(first.new_state, 5, options)
    assert (second.created, second.updated, second.destroyed) == ([], ["x"], [])


def test_by_last_change_an_id_may_be_updated_that_was_never_created() -> None:
    made = journal("+a", "+b", ".a")
    options = with_quirk(Quirk.CHANGES_BY_LAST_CHANGE)
    first = made.changes("e0", 1, options)
    assert (first.created, first.updated, first.new_state) == (["b"], [], "e2")
    assert made.changes("e2", 1, options).updated == ["a"]


def test_what_came_and_went_may_be_told_as_both() -> None:
    page = journal("+a", "-a").changes("e0", None, with_quirk(Quirk.CREATED_AND_DESTROYED))
    assert (page.created, page.destroyed) == (["a"], ["a"])


def test_that_holds_for_every_order_of_pages() -> None:
    for order in (Quirk.NEWEST_FIRST_CHANGES, Quirk.CHANGES_BY_LAST_CHANGE):
        options = FakeOptions(quirks=frozenset({order, Quirk.CREATED_AND_DESTROYED}))
        page = journal("+a", "+b", "-a").changes("e0", None, options)
        assert (sorted(page.created), page.destroyed) == (["a", "b"], ["a"])


@pytest.mark.parametrize("state", ["", "e", "e9", "e-1", "m0", "e01", "e1.2", "e0.9.9", "x", "e 1", "e+1"])
def test_states_that_were_never_given_out_are_unknown(state: str) -> None:
    with pytest.raises(UnknownState):
        journal("+a").changes(state, None, PLAIN)


def test_expiry_forgets_every_state_given_out() -> None:
    made = journal("+a")
    old = made.state
    made.expire()
    for state in ("e0", old):
        with pytest.raises(UnknownState):
            made.changes(state, None, PLAIN)
    assert made.changes(made.state, None, PLAIN).created == []


def test_counts_alone_are_told_apart() -> None:
    assert journal("#a", "#b").changes("e0", None, PLAIN).is_counts_only
    assert not journal("#a", ".a").changes("e0", None, PLAIN).is_counts_only
