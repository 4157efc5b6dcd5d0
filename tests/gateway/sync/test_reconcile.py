from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.types import MessageRef, MessageState
from gateway.store.flags import FlagSet
from gateway.sync.reconcile import FlagPolicy, Known, Plan, reconcile

EVERYTHING = FlagPolicy(frozenset({"\\Seen", "\\Flagged", "\\Deleted", "\\Draft", "\\Answered"}), any_keyword=True)
SEEN_ONLY = FlagPolicy(frozenset({"\\Seen"}), any_keyword=False)


def ref(name: str) -> MessageRef:
    return MessageRef(name)


def known(uid: int, *flags: str) -> Known:
    return Known(uid, uid + 100, FlagSet.of(flags))


def test_a_message_not_known_is_inserted() -> None:
    state = MessageState(ref("a"), flags=frozenset({"\\Seen"}))
    assert reconcile({}, [state], EVERYTHING).inserts == {"a": state}


def test_an_equal_state_changes_nothing() -> None:
    state = MessageState(ref("a"), flags=frozenset({"\\Seen", "$x"}))
    assert reconcile({ref("a"): known(1, "$x", "\\Seen")}, [state], EVERYTHING).is_empty


def test_flags_the_backend_cannot_hold_survive_what_it_says() -> None:
    state = MessageState(ref("a"), flags=frozenset({"\\Seen"}))
    plan = reconcile({ref("a"): known(1, "\\Answered", "$later")}, [state], SEEN_ONLY)
    assert plan.flag_changes == {1: FlagSet.of(["\\Seen", "\\Answered", "$later"])}


def test_a_keyword_that_differs_only_in_case_is_no_change() -> None:
    state = MessageState(ref("a"), flags=frozenset({"\\Seen", "work"}))
    assert reconcile({ref("a"): known(1, "Work", "\\Seen")}, [state], EVERYTHING).is_empty


def test_a_new_flag_leaves_the_spelling_of_the_others() -> None:
    state = MessageState(ref("a"), flags=frozenset({"\\Seen", "work"}))
    plan = reconcile({ref("a"): known(1, "Work")}, [state], EVERYTHING)
    assert plan.flag_changes == {1: FlagSet.of(["\\Seen", "Work"])}


def test_unknown_flags_leave_what_is_known() -> None:
    assert reconcile({ref("a"): known(1, "\\Seen")}, [MessageState(ref("a"))], EVERYTHING).is_empty


def test_of_two_states_the_later_wins_and_the_order_of_the_first_counts() -> None:
    states = [
        MessageState(ref("a"), flags=frozenset()),
        MessageState(ref("b"), flags=frozenset()),
        MessageState(ref("a"), flags=frozenset({"\\Seen"})),
    ]
    plan = reconcile({}, states, EVERYTHING)
    assert list(plan.inserts) == ["a", "b"]
    assert plan.inserts[ref("a")].flags == frozenset({"\\Seen"})


def test_removed_refs_go_and_unknown_ones_are_no_error() -> None:
    plan = reconcile({ref("a"): known(1)}, [], EVERYTHING, removed=[ref("a"), ref("never")])
    assert plan.removals == {1}


def test_what_is_not_present_goes() -> None:
    here = {ref("a"): known(1), ref("b"): known(2)}
    assert reconcile(here, [], EVERYTHING, present={ref("b")}).removals == {1}


def test_changed_octets_get_a_new_uid() -> None:
    state = MessageState(ref("a"), flags=frozenset(), content_changed=True)
    plan = reconcile({ref("a"): known(1)}, [state], EVERYTHING)
    assert (plan.removals, list(plan.inserts), list(plan.replaced)) == ({1}, ["a"], ["a"])


@pytest.mark.parametrize(
    ("states", "removed", "present"),
    [
        ([MessageState(MessageRef("a"), flags=frozenset({"\\Seen"}))], [], None),
        ([], [MessageRef("a")], None),
        ([], [], frozenset()),
    ],
)
def test_a_stale_ref_is_left_alone_and_reported(
    states: list[MessageState], removed: list[MessageRef], present: frozenset[MessageRef] | None
) -> None:
    plan = reconcile(
        {ref("a"): known(1)}, states, EVERYTHING, removed=removed, present=present, is_stale=lambda one: one == "a"
    )
    assert plan.is_empty
    assert plan.was_stale


FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "\\Answered", "$x", "$y"]))
REFS = st.sampled_from([MessageRef(name) for name in "abcdef"])
STATES = st.lists(st.builds(MessageState, ref=REFS, flags=st.none() | FLAGS), max_size=12)


def applied(here: dict[MessageRef, Known], plan: Plan, policy: FlagPolicy) -> dict[MessageRef, Known]:
    """Do to a dictionary what the store does to its tables."""
    after = {one: at for one, at in here.items() if at.uid not in plan.removals}
    for one, at in after.items():
        if at.uid in plan.flag_changes:
            after[one] = replace(at, flags=plan.flag_changes[at.uid])
    next_uid = max((at.uid for at in here.values()), default=0) + 1
    for uid, (one, state) in enumerate(plan.inserts.items(), next_uid):
        after[one] = Known(uid, uid + 100, policy.merge(state.flags or (), FlagSet()))
    return after


@given(start=STATES, states=STATES, policy=st.sampled_from([EVERYTHING, SEEN_ONLY]))
def test_applying_the_same_states_twice_changes_nothing_the_second_time(
    start: list[MessageState], states: list[MessageState], policy: FlagPolicy
) -> None:
    here = applied({}, reconcile({}, start, policy), policy)
    storable = [
        replace(state, flags=policy.split(state.flags) if state.flags is not None else None) for state in states
    ]
    once = applied(here, reconcile(here, storable, policy), policy)
    again = reconcile(once, storable, policy)
    assert again.is_empty


@given(start=STATES, present=st.frozensets(REFS))
def test_a_full_listing_leaves_exactly_what_it_lists_and_keeps_uids(
    start: list[MessageState], present: frozenset[MessageRef]
) -> None:
    here = applied({}, reconcile({}, start, EVERYTHING), EVERYTHING)
    listing = [MessageState(one) for one in sorted(present)]
    after = applied(here, reconcile(here, listing, EVERYTHING, present=present), EVERYTHING)
    assert set(after) == present
    assert all(after[one] == here[one] for one in present & set(here))
