from __future__ import annotations

from gateway.mailbox.tree_changes import NameChange, NameState, TreeChange, changes

BEFORE = {1: NameState("INBOX", True), 2: NameState("A", True), 3: NameState("A/B", False), 4: NameState("A/B/C", True)}


def test_equal_trees_differ_in_nothing() -> None:
    assert changes(BEFORE, dict(BEFORE)) == []


def test_names_come_and_go() -> None:
    after = {1: BEFORE[1], 2: BEFORE[2], 3: BEFORE[3], 9: NameState("New", False)}
    assert changes(BEFORE, after) == [
        NameChange("A/B/C", TreeChange.DELETED, True),
        NameChange("New", TreeChange.CREATED, False),
    ]


def test_what_is_below_a_renamed_level_is_not_told() -> None:
    after = {
        1: BEFORE[1],
        2: NameState("Z", True),
        3: NameState("Z/B", False),
        4: NameState("Z/B/C", True),
    }
    assert changes(BEFORE, after) == [NameChange("Z", TreeChange.RENAMED, True, "A")]


def test_what_was_renamed_by_itself_is_told() -> None:
    after = {**BEFORE, 4: NameState("Elsewhere", True)}
    assert changes(BEFORE, after) == [NameChange("Elsewhere", TreeChange.RENAMED, True, "A/B/C")]


def test_a_name_made_anew_is_told_once() -> None:
    after = {1: BEFORE[1], 2: BEFORE[2], 3: BEFORE[3], 8: NameState("A/B/C", False)}
    assert changes(BEFORE, after) == [NameChange("A/B/C", TreeChange.CREATED, False)]


def test_subscriptions_are_told() -> None:
    after = {**BEFORE, 3: NameState("A/B", True)}
    assert changes(BEFORE, after) == [NameChange("A/B", TreeChange.SUBSCRIPTION, True)]
