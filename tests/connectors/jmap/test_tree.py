"""Mailboxes of JMAP as paths of IMAP."""

from __future__ import annotations

import pytest

from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN, Role
from connectors.jmap.structs import Mailbox, MailboxRights
from connectors.jmap.tree import build_tree, mailbox_with

INBOX = Mailbox("i", "Posteingang", role="inbox")


def paths(*mailboxes: Mailbox) -> list[tuple[str, ...]]:
    return [info.path for info in build_tree(mailboxes)]


def test_the_inbox_is_known_by_its_role() -> None:
    (info,) = build_tree([INBOX])
    assert (info.path, info.role) == (("INBOX",), Role.INBOX)


def test_the_inbox_is_at_the_root_wherever_it_is() -> None:
    assert paths(Mailbox("a", "Mail"), Mailbox("i", "In", parent_id="a", role="inbox"), Mailbox("c", "C", "i")) == [
        ("INBOX",),
        ("INBOX", "C"),
        ("Mail",),
    ]


def test_without_the_role_a_mailbox_called_inbox_is_it() -> None:
    (info,) = build_tree([Mailbox("x", "inbox")])
    assert (info.path, info.role) == (("INBOX",), Role.INBOX)


@pytest.mark.parametrize("name", ["INBOX", "Inbox", "inbox"])
def test_another_inbox_gets_a_name_of_its_own_and_its_children_too(name: str) -> None:
    found = paths(INBOX, Mailbox("o", name), Mailbox("c", "Child", parent_id="o"))
    assert found == [("INBOX",), (f"{name} (2)",), (f"{name} (2)", "Child")]


def test_a_name_of_its_own_is_nobody_elses() -> None:
    assert set(paths(INBOX, Mailbox("a", "Inbox"), Mailbox("b", "Inbox (2)"))) == {
        ("INBOX",),
        ("Inbox (3)",),
        ("Inbox (2)",),
    }


def test_inbox_below_another_mailbox_is_a_name_like_others() -> None:
    assert ("A", "inbox") in paths(INBOX, Mailbox("a", "A"), Mailbox("b", "inbox", parent_id="a"))


def test_names_stay_as_they_are_whatever_they_hold() -> None:
    assert set(paths(Mailbox("a", "a/b"), Mailbox("b", "b", parent_id="a"))) == {("a/b",), ("a/b", "b")}


def test_twins_and_the_nameless_are_told_apart() -> None:
    assert len(set(paths(Mailbox("a", "X"), Mailbox("b", "X"), Mailbox("c", "")))) == 3


def test_parents_come_before_children_and_siblings_in_the_servers_order() -> None:
    found = paths(
        Mailbox("c", "C", parent_id="b"),
        Mailbox("b", "B", sort_order=2),
        Mailbox("a", "A", sort_order=3),
        INBOX,
    )
    assert found == [("INBOX",), ("B",), ("B", "C"), ("A",)]


def test_what_hangs_in_the_air_stands_at_the_root() -> None:
    assert set(paths(Mailbox("a", "A", parent_id="gone"), Mailbox("b", "B", parent_id="a"))) == {("A",), ("A", "B")}


def test_a_circle_hides_nothing() -> None:
    circle = [Mailbox("a", "A", parent_id="b"), Mailbox("b", "B", parent_id="a"), Mailbox("c", "C", parent_id="a")]
    assert {path[-1] for path in paths(*circle)} == {"A", "B", "C"}


def test_each_role_is_had_once() -> None:
    mailboxes = [Mailbox("a", "A", role="sent"), Mailbox("b", "B", role="sent"), Mailbox("c", "C", role="odd")]
    assert [info.role for info in build_tree(mailboxes)] == [Role.SENT, None, None]
    assert mailbox_with(Role.SENT, mailboxes) == "a"
    assert mailbox_with(Role.TRASH, mailboxes) is None


@pytest.mark.parametrize(
    ("rights", "flags", "any_keyword", "is_read_only"),
    [
        (MailboxRights(), {SEEN, ANSWERED, FLAGGED, DRAFT}, True, False),
        (MailboxRights(may_set_keywords=False), {SEEN}, False, False),
        (MailboxRights(may_set_seen=False), {ANSWERED, FLAGGED, DRAFT}, True, False),
        (
            MailboxRights(may_add_items=False, may_remove_items=False, may_set_seen=False, may_set_keywords=False),
            set(),
            False,
            True,
        ),
    ],
)
def test_rights_say_what_can_be_stored(
    rights: MailboxRights, flags: set[str], any_keyword: bool, is_read_only: bool
) -> None:
    (info,) = build_tree([Mailbox("a", "A", my_rights=rights)])
    assert (set(info.storable_flags), info.any_keyword, info.is_read_only) == (flags, any_keyword, is_read_only)


def test_nothing_can_be_stored_in_a_read_only_account() -> None:
    (info,) = build_tree([INBOX], is_read_only=True)
    assert (info.storable_flags, info.any_keyword, info.is_read_only) == (frozenset(), False, True)


def test_counts_ids_and_subscriptions_are_told() -> None:
    (info,) = build_tree([Mailbox("a", "A", total_emails=7, is_subscribed=False)])
    assert (info.messages, info.mailbox_id, info.is_subscribed) == (7, "a", False)


def test_an_id_that_imap_cannot_show_is_not_shown() -> None:
    (info,) = build_tree([Mailbox("a b", "A")])
    assert (info.ref, info.mailbox_id) == ("a b", None)
