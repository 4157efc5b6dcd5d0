from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.api.types import Role
from gateway.mailbox.namespace import AccountTree, Place, Tree
from gateway.store.mailboxes import MailboxRow

ROW = MailboxRow(
    id=0,
    account_id=1,
    ref="",
    path=(),
    role=None,
    is_selectable=True,
    allows_children=True,
    is_read_only=False,
    is_subscribed=True,
    storable_flags=frozenset(),
    any_keyword=True,
    uidvalidity=1,
    uidnext=1,
    recent_uid=1,
    highestmodseq=1,
    tombstone_floor=1,
    messages=0,
    unseen=0,
    deleted=0,
    octets=0,
    cursor=None,
    is_listed=True,
    synced_at=None,
    object_id="F1",
)


def account(number: int, name: str, *paths: tuple[str, ...], primary: bool = False) -> AccountTree:
    rows = [
        replace(ROW, id=number * 100 + at, account_id=number, ref=f"{number}.{at}", path=path)
        for at, path in enumerate(paths)
    ]
    return AccountTree(number, name, primary, rows)


WORK = account(1, "Work", ("INBOX",), ("Archive", "2025"))
HOME = account(2, "Home", ("INBOX",), ("Sent",))


def names(tree: Tree) -> list[str]:
    return [entry.name for entry in tree.entries()]


def test_one_account_stands_at_the_root_with_missing_levels_filled_in() -> None:
    tree = Tree([WORK])
    assert names(tree) == ["INBOX", "Archive", "Archive/2025"]
    archive = tree.entries()[1]
    assert (archive.exists, archive.is_selectable, archive.has_children) == (False, False, True)


def test_several_accounts_stand_under_their_names() -> None:
    tree = Tree([WORK, HOME])
    assert names(tree) == [
        "Home",
        "Home/INBOX",
        "Home/Sent",
        "Work",
        "Work/Archive",
        "Work/Archive/2025",
        "Work/INBOX",
    ]


def test_a_primary_account_stands_at_the_root_beside_others() -> None:
    tree = Tree([replace(WORK, is_primary=True), HOME])
    assert names(tree) == ["INBOX", "Archive", "Archive/2025", "Home", "Home/INBOX", "Home/Sent"]


@pytest.mark.parametrize("name", ["INBOX", "inbox", "InBox"])
def test_inbox_is_found_in_any_case_and_without_a_root_account(name: str) -> None:
    for tree in (Tree([WORK]), Tree([WORK, HOME])):
        row = tree.find(name)
        assert row is not None
        assert (row.account_id, row.path) == (1, ("INBOX",))


def test_inbox_of_an_account_is_found_in_any_case() -> None:
    row = Tree([WORK, HOME]).find("Home/inbox")
    assert row is not None
    assert row.account_id == 2


def test_names_that_collide_are_told_apart_and_stay_so() -> None:
    tree = Tree([account(1, "Work", ("INBOX",), ("Same",), ("Same",))])
    assert names(tree) == ["INBOX", "Same", "Same (2)"]
    first, second = tree.find("Same"), tree.find("Same (2)")
    assert first is not None
    assert second is not None
    assert first.id < second.id


def test_each_special_use_is_offered_once() -> None:
    work, home = account(1, "Work", ("Sent",)), account(2, "Home", ("Gesendet",))
    work = replace(work, rows=[replace(row, role=Role.SENT) for row in work.rows])
    home = replace(home, rows=[replace(row, role=Role.SENT) for row in home.rows])
    roles = {entry.name: entry.role for entry in Tree([work, home]).entries()}
    assert roles == {"Home": None, "Home/Gesendet": None, "Work": None, "Work/Sent": Role.SENT}


def test_a_name_leads_to_the_account_that_would_hold_it() -> None:
    tree = Tree([WORK, HOME])
    place = tree.place("Home/New/Deep")
    assert place is not None
    assert (place.account_id, place.path) == (2, ("New", "Deep"))
    assert tree.place("Nowhere") is None
    alone = Tree([WORK]).place("Home/New")
    assert alone is not None
    assert (alone.account_id, alone.path) == (1, ("Home", "New"))


def test_what_is_below_a_level_is_found_topmost_only() -> None:
    tree = Tree([account(1, "Work", ("a", "b"), ("a", "b", "c"), ("a", "d"), ("ab",))])
    assert [(row.path, tail) for row, tail in tree.topmost_below("a")] == [(("a", "b"), "/b"), (("a", "d"), "/d")]


def test_subscribed_names_without_a_mailbox_are_entries_of_their_own_with_the_levels_above_them() -> None:
    tree = Tree([replace(WORK, subscribed={("Gone", "Deep"): None, ("Archive",): None, ("Archive", "2025"): None})])
    entries = {entry.name: entry for entry in tree.entries()}
    assert names(tree) == ["INBOX", "Archive", "Archive/2025", "Gone", "Gone/Deep"]
    level, gone = entries["Gone"], entries["Gone/Deep"]
    assert (level.exists, level.is_selectable, level.is_subscribed, level.has_children) == (False, False, False, False)
    assert (gone.exists, gone.is_selectable, gone.is_subscribed, gone.has_children) == (False, False, True, False)
    # A level of mailboxes is one, too, and a mailbox that has a subscribed name is subscribed.
    archive = entries["Archive"]
    assert (archive.exists, archive.is_subscribed, archive.has_children) == (False, True, True)
    assert tree.without_mailbox() == {"Archive": Place(1, ("Archive",)), "Gone/Deep": Place(1, ("Gone", "Deep"))}


def test_they_are_no_mailboxes() -> None:
    tree = Tree([replace(WORK, subscribed={("Gone", "Deep"): None})])
    assert tree.find("Gone/Deep") is None
    assert tree.find("Gone") is None
    assert not tree.has_children("Gone")
    assert [name for name, _ in tree.rows()] == ["INBOX", "Archive/2025"]
    assert tree.place("Gone/Deep") == Place(1, ("Gone", "Deep"))


def test_a_mailbox_of_a_subscribed_name_is_subscribed_whatever_its_backend_says() -> None:
    rows = [replace(row, is_subscribed=False) for row in WORK.rows]
    tree = Tree([replace(WORK, rows=rows, subscribed={("Archive", "2025"): None})])
    assert {name: row.is_subscribed for name, row in tree.rows()} == {"INBOX": False, "Archive/2025": True}
    assert {entry.name for entry in tree.entries() if entry.is_subscribed} == {"Archive/2025"}
    assert tree.without_mailbox() == {}


def test_subscribed_names_stand_under_their_account() -> None:
    gone = {("Gone",): None}
    both = [replace(WORK, subscribed=gone), replace(HOME, subscribed=gone)]
    assert Tree(both).without_mailbox() == {"Work/Gone": Place(1, ("Gone",)), "Home/Gone": Place(2, ("Gone",))}
    primary = [replace(both[0], is_primary=True), both[1]]
    assert Tree(primary).without_mailbox() == {"Gone": Place(1, ("Gone",)), "Home/Gone": Place(2, ("Gone",))}
    # What stands at the root may have the name of another account's mailbox.
    hidden = [replace(WORK, is_primary=True, subscribed={("Home", "Sent"): None}), HOME]
    assert Tree(hidden).without_mailbox() == {}
