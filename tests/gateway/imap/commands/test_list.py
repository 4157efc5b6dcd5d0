from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.api.types import Role
from gateway.imap.commands.list import attributes_of, listed
from gateway.mailbox.namespace import AccountTree, MailboxEntry, Tree
from gateway.wire.commands import List, ListKind, ListReturn, ListSelection
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving


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


def test_a_level_above_a_name_that_is_only_subscribed_is_listed_for_that_alone() -> None:
    tree = Tree([AccountTree(1, "work", True, [], {("Gone", "Deep"): None})]).entries()

    def told(command: List) -> list[bytes]:
        return [line.render(command.kind) for line in listed(command, tree)]

    assert told(plain("*")) == told(plain("%")) == told(extended("%", selection=SUBSCRIBED)) == []
    assert told(extended("*", returns=frozenset({ListReturn.SUBSCRIBED}))) == []
    deep = b'* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" "Gone/Deep"\r\n'
    assert told(extended("*", selection=SUBSCRIBED)) == told(extended("*", selection=RECURSIVE)) == [deep]
    above = b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Gone" ("CHILDINFO" ("SUBSCRIBED"))\r\n'
    assert told(extended("%", selection=RECURSIVE)) == [above]
    assert told(plain("%", kind=ListKind.LSUB)) == [b'* LSUB (\\Noselect \\HasChildren) "/" "Gone"\r\n']
    assert told(plain("*", kind=ListKind.LSUB)) == [b'* LSUB (\\Noselect \\HasNoChildren) "/" "Gone/Deep"\r\n']


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


# -- what is kept of a tree -------------------------------------------------------------------------------------------

ALL = b'LIST "" "*" RETURN (SUBSCRIBED)'
FIGURES = b"MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED HIGHESTMODSEQ"
DATE = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that lists its backend anew only when it is told to."""
    async with serving(tmp_path, OutsideMemory()) as served:
        mail = served.services.mail
        mail.settings = replace(mail.settings, fresh_age_s=3600.0)
        yield served


async def told(client: LineClient, command: bytes) -> list[bytes]:
    """Return what a command is answered with, but for the tagged line, which is OK."""
    *lines, last = await client.ask(b"t " + command)
    assert last.startswith(b"t OK "), last
    return lines


async def checked(served: Served, client: LineClient, command: bytes = ALL) -> list[bytes]:
    """Return what is told, which is what is told when nothing is kept."""
    lines = await told(client, command)
    served.services.mail.listings._kept.clear()
    assert await told(client, command) == lines
    return lines


async def test_what_one_session_does_to_the_tree_the_other_lists_at_once(served: Served) -> None:
    one, other = await served.log_in(), await served.log_in()
    assert await told(one, ALL) == await told(other, ALL)
    await told(one, b"DELETE Archive")
    await told(one, b"UNSUBSCRIBE Archive")
    before = await told(other, ALL)
    for command, line in (
        (b"CREATE New", b'* LIST (\\HasNoChildren \\Subscribed) "/" "New"'),
        (b"CREATE New/Below", b'* LIST (\\HasChildren \\Subscribed) "/" "New"'),
        (b"RENAME New/Below Moved", b'* LIST (\\HasNoChildren \\Subscribed) "/" "Moved"'),
        (b"UNSUBSCRIBE Moved", b'* LIST (\\HasNoChildren) "/" "Moved"'),
        (b"SUBSCRIBE Moved", b'* LIST (\\HasNoChildren \\Subscribed) "/" "Moved"'),
        (b"CREATE Main (USE (\\Archive))", b'* LIST (\\HasNoChildren \\Subscribed \\Archive) "/" "Main"'),
    ):
        await told(one, command)
        assert line in await told(other, ALL), command
        assert await told(one, ALL) == await checked(served, other)
    for name in (b"Main", b"Moved", b"New"):
        await told(one, b"DELETE " + name)
        await told(one, b"UNSUBSCRIBE " + name)
        assert not [line for line in await told(other, ALL) if line.endswith(b'"%b"' % name)]
    assert await checked(served, other) == before


async def test_a_mailbox_made_elsewhere_is_listed_as_soon_as_the_gateway_knows_it(tmp_path: Path) -> None:
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        before = await told(client, b'LIST "" "*"')
        outside.create(("Elsewhere",))
        # Here what is known is never taken for fresh.
        after = await told(client, b'LIST "" "*"')
        assert set(after) - set(before) == {b'* LIST (\\HasNoChildren) "/" "Elsewhere"'}
        outside.delete(("Elsewhere",))
        assert await told(client, b'LIST "" "*"') == before


async def test_the_figures_are_those_of_the_moment_though_the_lines_are_kept(served: Served) -> None:
    one, other = await served.log_in(), await served.log_in()
    await told(one, b'CREATE "50% off"')
    with_status = b'LIST "" "*" RETURN (STATUS (%b))' % FIGURES

    async def check() -> list[bytes]:
        lines = await told(other, with_status)
        assert [line for line in lines if not line.startswith(b"* STATUS ")] == await told(other, b'LIST "" "*"')
        names = [line.partition(b'"/" ')[2] for line in lines if line.startswith(b"* LIST ")]
        for name, line in zip(names, lines[1::2], strict=True):
            assert await told(other, b"STATUS %b (%b)" % (name, FIGURES)) == [line]
        return lines

    figures = await check()
    text = b"Subject: s\r\n\r\ntext\r\n"
    await told(one, b'APPEND "50%% off" {%d+}\r\n%b' % (len(text), text))
    appended = await check()
    assert len(set(appended) - set(figures)) == 1
    await told(one, b'SELECT "50% off"')
    await told(one, b"STORE 1 +FLAGS (\\Seen \\Deleted)")
    seen = await check()
    (line,) = set(seen) - set(appended)
    assert b'"50% off" (MESSAGES 1 UIDNEXT 2 ' in line
    assert b" UNSEEN 0 DELETED 1 " in line
    await told(one, b"EXPUNGE")
    assert [line for line in await check() if b"50% off" in line and b"MESSAGES 0 UIDNEXT 2 " in line]


async def test_figures_that_no_counter_holds_are_told_too(served: Served) -> None:
    client = await served.log_in()
    text = b"Subject: s\r\n\r\ntext\r\n"
    await told(client, b"APPEND INBOX {%d+}\r\n%b" % (len(text), text))
    command = b'LIST "" "INBOX" RETURN (STATUS (RECENT SIZE MESSAGES))'
    assert (await told(client, command))[1] == b'* STATUS "INBOX" (RECENT 1 SIZE %d MESSAGES 1)' % len(text)
    assert await told(client, b"STATUS INBOX (RECENT)") == [b'* STATUS "INBOX" (RECENT 1)']
    await told(client, b"SELECT INBOX")
    assert (await told(client, command))[1] == b'* STATUS "INBOX" (RECENT 0 SIZE %d MESSAGES 1)' % len(text)
    assert await told(client, b"STATUS INBOX (RECENT)") == [b'* STATUS "INBOX" (RECENT 0)']


async def test_mailboxes_never_read_are_read_for_their_figures(tmp_path: Path) -> None:
    outside = OutsideMemory()
    for name in ("Box", "Chest"):
        outside.create((name,))
        outside.deliver((name,), b"Subject: s\r\n\r\ntext\r\n", frozenset(), DATE)
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        lines = await told(client, b'LIST "" ("Box" "Chest") RETURN (STATUS (MESSAGES UNSEEN))')
        assert lines[1::2] == [b'* STATUS "%b" (MESSAGES 1 UNSEEN 1)' % name for name in (b"Box", b"Chest")]


async def test_each_session_is_told_in_its_own_spelling(served: Served) -> None:
    old, new = await served.log_in(), await served.log_in()
    await told(new, b"ENABLE IMAP4rev2")
    await told(new, 'CREATE "Übung/Mehr"'.encode())
    for _ in range(2):
        assert b'* LIST (\\HasNoChildren) "/" "&ANw-bung/Mehr"' in await told(old, b'LIST "" "*"')
        assert '* LIST (\\HasNoChildren) "/" "Übung/Mehr"'.encode() in await told(new, b'LIST "" "*"')
        assert b'* XLIST (\\HasNoChildren \\Inbox) "/" "INBOX"' in await told(old, b'XLIST "" "*"')
        assert b'* LSUB (\\HasNoChildren) "/" "INBOX"' in await told(old, b'LSUB "" "*"')


async def test_more_patterns_than_are_kept_are_answered_all_the_same(served: Served) -> None:
    client = await served.log_in()
    patterns = [b"*", b"%", b"I*", b"inbox", b"S%", b"Nowhere*", b"A*", b"x" * 300]
    first = [await told(client, b'LIST "" "%b"' % pattern) for pattern in patterns]
    assert [await told(client, b'LIST "" "%b"' % pattern) for pattern in patterns] == first
    assert first[0] == first[1]
    assert [len(lines) for lines in first[2:]] == [1, 1, 1, 0, 1, 0]
