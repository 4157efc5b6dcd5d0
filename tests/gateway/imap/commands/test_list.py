from __future__ import annotations

import pytest

from connectors.api.types import Role
from gateway.imap.commands.list import attributes_of, listed
from gateway.mailbox.namespace import MailboxEntry
from gateway.wire.commands import List, ListKind, ListReturn, ListSelection


def entry(
    name: str,
    role: Role | None = None,
    *,
    is_selectable: bool = True,
    exists: bool = True,
    has_children: bool = False,
    allows_children: bool = True,
    is_subscribed: bool = False,
) -> MailboxEntry:
    return MailboxEntry(name, role, is_selectable, exists, has_children, allows_children, is_subscribed)


# The tree of RFC 5258 section 5: Fruit/Peach is subscribed and is no mailbox.
TREE = [
    entry("INBOX", Role.INBOX, is_subscribed=True),
    entry("Fruit", has_children=True),
    entry("Fruit/Apple"),
    entry("Fruit/Banana", is_subscribed=True),
    entry("Fruit/Peach", exists=False, is_selectable=False, is_subscribed=True),
    entry("Sent", Role.SENT),
    entry("Tofu", has_children=True),
    entry("Vegetable", exists=False, is_selectable=False, has_children=True),
    entry("Vegetable/Broccoli", is_subscribed=True),
    entry("Vegetable/Corn"),
]
SUBSCRIBED = frozenset({ListSelection.SUBSCRIBED})
RECURSIVE = frozenset({ListSelection.SUBSCRIBED, ListSelection.RECURSIVEMATCH})


def plain(*patterns: str, kind: ListKind = ListKind.LIST, reference: str = "") -> List:
    return List(kind, reference, patterns)


def extended(
    *patterns: str,
    selection: frozenset[ListSelection] = frozenset(),
    returns: frozenset[ListReturn] = frozenset(),
) -> List:
    return List(ListKind.LIST, "", patterns, True, selection, returns)


def names(command: List) -> list[str]:
    return [line.entry.name for line in listed(command, TREE)]


def lines(command: List) -> list[bytes]:
    return [line.render(command.kind) for line in listed(command, TREE)]


def test_a_name_that_is_only_subscribed_is_no_mailbox() -> None:
    assert "Fruit/Peach" not in names(plain("*"))
    assert "Vegetable" in names(plain("*"))


def test_a_name_that_matches_two_patterns_is_listed_once() -> None:
    assert names(extended("INBOX", "I*", "%x", "")) == ["INBOX"]


def test_the_reference_stands_before_the_pattern() -> None:
    assert names(plain("%", reference="Fruit/")) == ["Fruit/Apple", "Fruit/Banana"]


def test_special_uses_are_told_without_being_asked_for() -> None:
    assert lines(plain("Sent")) == [b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"\r\n']
    assert lines(plain("Sent", "INBOX", kind=ListKind.XLIST)) == [
        b'* XLIST (\\HasNoChildren \\Inbox) "/" "INBOX"\r\n',
        b'* XLIST (\\HasNoChildren \\Sent) "/" "Sent"\r\n',
    ]


@pytest.mark.parametrize(
    ("role", "word"),
    [(Role.ALL, "\\AllMail"), (Role.FLAGGED, "\\Starred"), (Role.JUNK, "\\Spam"), (Role.TRASH, "\\Trash")],
)
def test_xlist_has_words_of_its_own(role: Role, word: str) -> None:
    assert word in attributes_of(plain("*", kind=ListKind.XLIST), entry("x", role))


def test_the_selection_of_special_uses_lists_no_others() -> None:
    assert names(extended("*", selection=frozenset({ListSelection.SPECIAL_USE}))) == ["Sent"]
    everything = names(extended("*", returns=frozenset({ListReturn.SPECIAL_USE})))
    assert everything == names(plain("*"))


def test_list_subscribed_tells_exactly_the_subscribed_names() -> None:
    assert lines(extended("*", selection=SUBSCRIBED)) == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"\r\n',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Fruit/Banana"\r\n',
        b'* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" "Fruit/Peach"\r\n',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Vegetable/Broccoli"\r\n',
    ]


def test_imap4rev2_says_of_a_parent_that_it_does_not_exist_whatever_form_list_has() -> None:
    # RFC 9051 section 7.3.1
    (line,) = [line for line in listed(plain("%"), TREE, is_rev2=True) if line.entry.name == "Vegetable"]
    assert line.attributes == ("\\NonExistent", "\\Noselect", "\\HasChildren")
    (line,) = [line for line in listed(plain("%"), TREE) if line.entry.name == "Vegetable"]
    assert line.attributes == ("\\Noselect", "\\HasChildren")


def test_recursivematch_brings_in_parents_of_what_the_pattern_hides() -> None:
    assert lines(extended("%", selection=RECURSIVE)) == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"\r\n',
        b'* LIST (\\HasChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Vegetable" ("CHILDINFO" ("SUBSCRIBED"))\r\n',
    ]


def test_recursivematch_is_silent_where_the_child_is_listed_itself() -> None:
    assert names(extended("*", selection=RECURSIVE)) == names(extended("*", selection=SUBSCRIBED))


def test_lsub_lists_parents_as_not_selectable_only_where_the_pattern_hides_the_child() -> None:
    assert lines(plain("%", kind=ListKind.LSUB)) == [
        b'* LSUB (\\HasNoChildren) "/" "INBOX"\r\n',
        b'* LSUB (\\HasChildren \\Noselect) "/" "Fruit"\r\n',
        b'* LSUB (\\Noselect \\HasChildren) "/" "Vegetable"\r\n',
    ]
    assert names(plain("*", kind=ListKind.LSUB)) == ["INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable/Broccoli"]


def test_the_return_option_tells_subscriptions_of_all() -> None:
    told = lines(extended("Fruit/%", returns=frozenset({ListReturn.SUBSCRIBED, ListReturn.CHILDREN})))
    assert told == [
        b'* LIST (\\HasNoChildren) "/" "Fruit/Apple"\r\n',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Fruit/Banana"\r\n',
    ]


def test_a_mailbox_that_takes_no_children_says_so() -> None:
    assert "\\Noinferiors" in attributes_of(plain("*"), entry("x", allows_children=False))
