from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from gateway.imap.table import ANY, LOGGED_IN, SELECTED, STRANGER, TABLE
from gateway.wire import commands
from gateway.wire.commands import Command
from gateway.wire.fetch import FetchAttribute
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import All, And, InSequence, InUids, Not, Or, SearchKey
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort, SortCriterion, SortField, Thread, ThreadAlgorithm

ONE = SequenceSet(((1, 1),))


def fetch(*, is_uid: bool) -> commands.Fetch:
    return commands.Fetch(ONE, is_uid, (FetchAttribute.FLAGS,))


def test_every_command_has_a_rule() -> None:
    assert set(TABLE) == set(get_args(Command))


def test_expunge_is_held_back_by_sequence_number_and_not_by_uid() -> None:
    pairs: list[tuple[Command, Command]] = [
        (fetch(is_uid=False), fetch(is_uid=True)),
        (commands.Search(All(), False), commands.Search(All(), True)),
        (
            commands.Store(ONE, False, commands.StoreAction.ADD, (), False),
            commands.Store(ONE, True, commands.StoreAction.ADD, (), False),
        ),
        (
            commands.StoreLabels(ONE, False, commands.StoreAction.ADD, (), False),
            commands.StoreLabels(ONE, True, commands.StoreAction.ADD, (), False),
        ),
    ]
    for plain, by_uid in pairs:
        rule = TABLE[type(plain)]
        assert rule.uses_sequence_numbers(plain)
        assert not rule.may_expunge(plain)
        assert not rule.uses_sequence_numbers(by_uid)
        assert rule.may_expunge(by_uid)


@pytest.mark.parametrize(
    "searching",
    [
        lambda key: commands.Search(key, True),
        lambda key: Sort((SortCriterion(SortField.DATE),), key, True),
        lambda key: Thread(ThreadAlgorithm.REFS, key, True),
        MultiSearch,
    ],
)
def test_expunge_is_held_back_where_numbers_stand_among_the_criteria(searching: Callable[[SearchKey], Command]) -> None:
    number = InSequence(ONE)
    for key in (number, Not(number), Or(All(), number), And((All(), Or(number, All())))):
        command = searching(key)
        assert not TABLE[type(command)].may_expunge(command)
    command = searching(And((InUids(ONE), Not(Or(All(), InUids(ONE))))))
    assert TABLE[type(command)].may_expunge(command)


def test_every_other_command_may_be_answered_with_expunge() -> None:
    held = {kind for kind, rule in TABLE.items() if rule.holds_expunges}
    by_number = {commands.Fetch, commands.Store, commands.StoreLabels, commands.Search, Sort, Thread}
    assert held == {*by_number, MultiSearch}
    copy = commands.Copy(ONE, False, "Archive", False)
    assert TABLE[commands.Copy].uses_sequence_numbers(copy)
    assert TABLE[commands.Copy].may_expunge(copy)


def test_each_state_admits_what_the_rfc_lists() -> None:
    by_states = {
        states: {kind.__name__ for kind, rule in TABLE.items() if rule.states == states}
        for states in (ANY, STRANGER, LOGGED_IN, SELECTED)
    }
    assert by_states[ANY] == {"Capability", "Noop", "Logout", "Id"}
    assert by_states[STRANGER] == {"StartTls", "Login", "Authenticate"}
    on_messages = {"Search", "Sort", "Thread", "Fetch", "Store", "StoreLabels", "Copy", "Replace"}
    assert by_states[SELECTED] == {"CancelUpdate", "Check", "Close", "Expunge", "UidBatches", *on_messages}
    assert sum(map(len, by_states.values())) == len(TABLE)
