from __future__ import annotations

from gateway.mailbox.namespace import AccountTree, Tree
from gateway.mailbox.tree_changes import NameChange, NameState, Snapshot, TreeChange, changes, snapshot

BEFORE: Snapshot = {
    1: NameState("INBOX", True),
    2: NameState("A", True),
    3: NameState("A/B", False),
    4: NameState("A/B/C", True),
}


def test_equal_trees_differ_in_nothing() -> None:
    assert changes(BEFORE, dict(BEFORE)) == []


def test_names_come_and_go() -> None:
    after: Snapshot = {1: BEFORE[1], 2: BEFORE[2], 3: BEFORE[3], 9: NameState("New", False)}
    assert changes(BEFORE, after) == [
        NameChange("A/B/C", TreeChange.DELETED, True),
        NameChange("New", TreeChange.CREATED, False),
    ]


def test_what_is_below_a_renamed_level_is_not_told() -> None:
    after: Snapshot = {
        1: BEFORE[1],
        2: NameState("Z", True),
        3: NameState("Z/B", False),
        4: NameState("Z/B/C", True),
    }
    assert changes(BEFORE, after) == [NameChange("Z", TreeChange.RENAMED, True, "A")]


def test_what_was_renamed_by_itself_is_told() -> None:
    after: Snapshot = {**BEFORE, 4: NameState("Elsewhere", True)}
    assert changes(BEFORE, after) == [NameChange("Elsewhere", TreeChange.RENAMED, True, "A/B/C")]


def test_a_name_made_anew_is_told_once() -> None:
    after: Snapshot = {1: BEFORE[1], 2: BEFORE[2], 3: BEFORE[3], 8: NameState("A/B/C", False)}
    assert changes(BEFORE, after) == [NameChange("A/B/C", TreeChange.CREATED, False)]


def test_subscriptions_are_told() -> None:
    after: Snapshot = {**BEFORE, 3: NameState("A/B", True)}
    assert changes(BEFORE, after) == [NameChange("A/B", TreeChange.SUBSCRIPTION, True)]


def test_a_mailbox_that_goes_is_told_as_deleted_also_if_its_name_stays_subscribed() -> None:
    after: Snapshot = {key: state for key, state in BEFORE.items() if key != 4} | {"A/B/C": NameState("A/B/C", True)}
    assert changes(BEFORE, after) == [NameChange("A/B/C", TreeChange.DELETED, True)]
    assert changes(after, BEFORE) == [NameChange("A/B/C", TreeChange.CREATED, True)]


def test_a_renamed_mailbox_is_told_once_also_if_its_old_name_stays_subscribed() -> None:
    after: Snapshot = {**BEFORE, 4: NameState("New", False), "A/B/C": NameState("A/B/C", True)}
    assert changes(BEFORE, after) == [
        NameChange("New", TreeChange.RENAMED, False, "A/B/C"),
        NameChange("New", TreeChange.SUBSCRIPTION, False),
    ]


def test_subscriptions_of_names_without_a_mailbox_are_told() -> None:
    after: Snapshot = {**BEFORE, "Gone": NameState("Gone", True)}
    assert changes(BEFORE, after) == [NameChange("Gone", TreeChange.SUBSCRIPTION, True)]
    assert changes(after, BEFORE) == [NameChange("Gone", TreeChange.SUBSCRIPTION, False)]
    assert changes(after, dict(after)) == []


def test_a_snapshot_holds_mailboxes_and_subscribed_names() -> None:
    tree = Tree([AccountTree(1, "work", True, [], {("Gone", "Below"): None})])
    assert snapshot(tree) == {"Gone/Below": NameState("Gone/Below", True)}
