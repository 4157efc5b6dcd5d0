"""What has happened to the names of mailboxes between two moments, as NOTIFY tells it (RFC 5465 sections 5.4, 5.5)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.mailbox import names
from gateway.mailbox.namespace import Tree


class TreeChange(enum.Enum):
    """What happened to a name."""

    CREATED = "created"
    DELETED = "deleted"
    RENAMED = "renamed"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class NameState:
    """A mailbox at one moment."""

    name: str
    is_subscribed: bool


@dataclass(frozen=True, slots=True)
class NameChange:
    """One name and what happened to it; `is_subscribed` is as it is now, or was last. `old_name` if it was renamed."""

    name: str
    kind: TreeChange
    is_subscribed: bool
    old_name: str | None = None


Snapshot = Mapping[int | str, NameState]
"""Mailboxes by id, and subscribed names that have none by name."""


def snapshot(tree: Tree) -> Snapshot:
    """Return what the tree is like now."""
    names_only = {name: NameState(name, True) for name in tree.without_mailbox()}
    return {row.id: NameState(name, row.is_subscribed) for name, row in tree.rows()} | names_only


def changes(before: Snapshot, after: Snapshot) -> list[NameChange]:
    """Return what happened, what is gone first.

    A name that was deleted and made anew is told as created. Of what was renamed with the level above it only that
    level is told.
    """
    return _changes(_mailboxes(before), _mailboxes(after)) + _subscriptions(before, after)


def _changes(before: Mapping[int, NameState], after: Mapping[int, NameState]) -> list[NameChange]:
    found: list[NameChange] = []
    present = {state.name for state in after.values()}
    for mailbox_id, state in before.items():
        if mailbox_id not in after and state.name not in present:
            found.append(NameChange(state.name, TreeChange.DELETED, state.is_subscribed))
    renamed = {
        state.name: after[mailbox_id].name
        for mailbox_id, state in before.items()
        if mailbox_id in after and after[mailbox_id].name != state.name
    }
    for mailbox_id, state in after.items():
        old = before.get(mailbox_id)
        if old is None:
            found.append(NameChange(state.name, TreeChange.CREATED, state.is_subscribed))
            continue
        if old.name != state.name and not _went_along(old.name, state.name, renamed):
            found.append(NameChange(state.name, TreeChange.RENAMED, state.is_subscribed, old.name))
        if old.is_subscribed is not state.is_subscribed:
            found.append(NameChange(state.name, TreeChange.SUBSCRIPTION, state.is_subscribed))
    return found


def _mailboxes(states: Snapshot) -> dict[int, NameState]:
    return {key: state for key, state in states.items() if isinstance(key, int)}


def _subscriptions(before: Snapshot, after: Snapshot) -> list[NameChange]:
    """Return what happened to subscribed names that neither are nor were those of mailboxes.

    Whoever is told that a mailbox is gone is told with it whether the name is still subscribed.
    """
    known, present = ({state.name for state in states.values()} for states in (before, after))
    ended = [name for name in before if isinstance(name, str) and name not in present]
    begun = [name for name in after if isinstance(name, str) and name not in known]
    return [
        NameChange(name, TreeChange.SUBSCRIPTION, is_subscribed)
        for names_of, is_subscribed in ((ended, False), (begun, True))
        for name in names_of
    ]


def _went_along(old: str, new: str, renamed: Mapping[str, str]) -> bool:
    """Tell whether a mailbox has its new name only because one above it was renamed."""
    while True:
        old, _, old_level = old.rpartition(names.SEPARATOR)
        new, _, new_level = new.rpartition(names.SEPARATOR)
        if not old or not new or old_level != new_level:
            return False
        if renamed.get(old) == new:
            return True
