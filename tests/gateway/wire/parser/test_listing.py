from __future__ import annotations

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Command, List, ListKind, ListReturn, ListSelection, StatusItem
from tests.gateway.wire.reading import parse, refusal


def extended(reference: str, *patterns: str, selection: set[ListSelection] | None = None) -> List:
    return List(ListKind.LIST, reference, patterns, True, frozenset(selection or ()))


SUBSCRIBED, REMOTE = ListSelection.SUBSCRIBED, ListSelection.REMOTE
RECURSIVEMATCH, SPECIAL_USE = ListSelection.RECURSIVEMATCH, ListSelection.SPECIAL_USE


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b'LIST "" ""', List(ListKind.LIST, "", ("",))),
        (b'list "" *', List(ListKind.LIST, "", ("*",))),
        (b'LIST #news. "%"', List(ListKind.LIST, "#news.", ("%",))),
        (b"LIST {0}\r\n {3}\r\na%b", List(ListKind.LIST, "", ("a%b",))),
        (b'LIST "" inbox', List(ListKind.LIST, "", ("INBOX",))),
        (b'LIST "" Entw&APw-rfe/%', List(ListKind.LIST, "", ("Entwürfe/%",))),
        (b'LIST Work/ "%"', List(ListKind.LIST, "Work/", ("%",))),
        (b'LSUB "" "*"', List(ListKind.LSUB, "", ("*",))),
        (b'XLIST "" "*"', List(ListKind.XLIST, "", ("*",))),
    ],
)
def test_plain_list(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 5258 section 5
        (b'LIST (SUBSCRIBED) "" "*"', extended("", "*", selection={SUBSCRIBED})),
        (b'LIST () "" "%"', extended("", "%")),
        (b'LIST (REMOTE) "" "%"', extended("", "%", selection={REMOTE})),
        (b'LIST (SUBSCRIBED REMOTE) "" "*"', extended("", "*", selection={SUBSCRIBED, REMOTE})),
        (b'LIST "" ("INBOX" "Drafts" "Sent/%")', extended("", "INBOX", "Drafts", "Sent/%")),
        (b'list (recursivematch subscribed) "" "%"', extended("", "%", selection={RECURSIVEMATCH, SUBSCRIBED})),
        (
            b'LIST "" "%" RETURN (CHILDREN)',
            List(ListKind.LIST, "", ("%",), True, returns=frozenset({ListReturn.CHILDREN})),
        ),
        (b'LIST "" "%" RETURN ()', extended("", "%")),
        # RFC 6154 section 5.2, and MailKit
        (b'LIST (SPECIAL-USE) "" "*"', extended("", "*", selection={SPECIAL_USE})),
        (
            b'LIST (SPECIAL-USE) "" "*" RETURN (SUBSCRIBED CHILDREN)',
            List(
                ListKind.LIST,
                "",
                ("*",),
                True,
                frozenset({SPECIAL_USE}),
                frozenset({ListReturn.SUBSCRIBED, ListReturn.CHILDREN}),
            ),
        ),
        # RFC 5819 section 4, and iOS 11
        (
            b'LIST "" % RETURN (STATUS (MESSAGES UNSEEN))',
            List(ListKind.LIST, "", ("%",), True, status=(StatusItem.MESSAGES, StatusItem.UNSEEN)),
        ),
        (
            b'LIST "" "*" return (special-use status (unseen))',
            List(
                ListKind.LIST,
                "",
                ("*",),
                True,
                returns=frozenset({ListReturn.SPECIAL_USE}),
                status=(StatusItem.UNSEEN,),
            ),
        ),
    ],
)
def test_extended_list(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"LIST",
        b'LIST ""',
        b'LIST "" ()',
        b'LIST "" (a',
        b'LIST "" a b',
        b'LIST (FOO) "" *',
        b'LIST (RECURSIVEMATCH) "" *',
        b'LIST (REMOTE RECURSIVEMATCH) "" *',
        b'LIST "" * RETURN',
        b'LIST "" * RETURN CHILDREN',
        b'LIST "" * RETURN (FOO)',
        b'LIST "" * RETURN (STATUS)',
        b'LIST "" * RETURN (STATUS ())',
        b'LIST "" * (CHILDREN)',
        b'LSUB (SUBSCRIBED) "" *',
        b'LSUB "" * RETURN ()',
        b'XLIST "" (a b)',
    ],
)
def test_wrong_list_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


def test_pattern_that_is_no_utf7_is_refused() -> None:
    assert refusal(b'LIST "" AT&T*').code is Code.CANNOT


def test_too_many_patterns_are_refused() -> None:
    assert refusal(b'LIST "" (' + b"a " * 5001 + b")").code is Code.LIMIT
