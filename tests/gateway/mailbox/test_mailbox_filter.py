from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mailbox.mailbox_filter import chosen, covers
from gateway.mailbox.namespace import AccountTree, Tree
from gateway.wire.mailbox_filter import FilterKind, MailboxFilter
from tests.gateway.mailbox.test_namespace import ROW

PATHS = (("INBOX",), ("Lists",), ("Lists", "Imap"), ("Lists", "Imap", "Old"), ("Listsnot",), ("Closed",))


def tree() -> Tree:
    rows = [
        replace(
            ROW, id=number, path=path, is_selectable=path != ("Closed",), is_subscribed=path != ("Lists", "Imap", "Old")
        )
        for number, path in enumerate(PATHS, 1)
    ]
    return Tree([AccountTree(1, "work", True, rows)])


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        (FilterKind.PERSONAL, (), ["INBOX", "Lists", "Lists/Imap", "Lists/Imap/Old", "Listsnot"]),
        (FilterKind.INBOXES, (), ["INBOX", "Lists", "Lists/Imap", "Lists/Imap/Old", "Listsnot"]),
        (FilterKind.SUBSCRIBED, (), ["INBOX", "Lists", "Lists/Imap", "Listsnot"]),
        (FilterKind.SUBTREE, ("Lists",), ["Lists", "Lists/Imap", "Lists/Imap/Old"]),
        (FilterKind.SUBTREE_ONE, ("Lists",), ["Lists", "Lists/Imap"]),
        (FilterKind.MAILBOXES, ("Listsnot", "Gone", "Closed", "List%"), ["Listsnot"]),
        (FilterKind.SELECTED, (), []),
    ],
)
def test_mailboxes_are_chosen(kind: FilterKind, names: tuple[str, ...], expected: list[str]) -> None:
    assert [name for name, _ in chosen(tree(), [MailboxFilter(kind, names)]).values()] == expected


def test_a_subscribed_name_is_chosen_only_if_it_has_a_mailbox() -> None:
    rows = [replace(ROW, id=1, path=("INBOX",), is_subscribed=False), replace(ROW, id=2, path=("A",))]
    tree = Tree([AccountTree(1, "work", True, rows, {("INBOX",): None, ("Gone",): None})])
    assert set(chosen(tree, [MailboxFilter(FilterKind.SUBSCRIBED, ())])) == {1, 2}
    assert set(chosen(tree, [MailboxFilter(FilterKind.MAILBOXES, ("Gone",))])) == set()


def test_a_mailbox_meant_twice_is_there_once() -> None:
    filters = [MailboxFilter(FilterKind.MAILBOXES, ("Lists",)), MailboxFilter(FilterKind.SUBTREE, ("Lists", "INBOX"))]
    found = chosen(tree(), filters)
    assert [name for name, _ in found.values()] == ["Lists", "INBOX", "Lists/Imap", "Lists/Imap/Old"]


def test_a_name_below_one_that_is_no_mailbox_is_in_its_subtree() -> None:
    assert covers(MailboxFilter(FilterKind.SUBTREE, ("A",)), "A/B/C", is_subscribed=False)
    assert not covers(MailboxFilter(FilterKind.SUBTREE_ONE, ("A",)), "A/B/C", is_subscribed=True)
