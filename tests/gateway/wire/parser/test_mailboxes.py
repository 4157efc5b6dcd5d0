from __future__ import annotations

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Command, Create, Delete, QresyncParameters, Rename, Select, StatusItem, Subscribe
from gateway.wire.commands import Status as StatusCommand
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import parse, refusal

SET = SequenceSet.parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"SELECT INBOX", Select("INBOX", is_examine=False)),
        (b"select inbox", Select("INBOX", is_examine=False)),
        (b'EXAMINE "iNbOx/Sub folder"', Select("INBOX/Sub folder", is_examine=True)),
        (b"SELECT {5}\r\ninbox", Select("INBOX", is_examine=False)),
        (b"SELECT Entw&APw-rfe", Select("Entwürfe", is_examine=False)),
        ('SELECT "Entwürfe"'.encode(), Select("Entwürfe", is_examine=False)),
        (b"SELECT Work/", Select("Work", is_examine=False)),
        (b"SELECT box (CONDSTORE)", Select("box", is_examine=False, condstore=True)),
        (
            b"SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",  # RFC 7162 section 3.2.5
            Select("INBOX", False, qresync=QresyncParameters(67890007, 20050715194045000, SET(b"41,43:211,214:541"))),
        ),
        (
            b"SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000,9990:9999 15000,22500,"
            b"27000,29970,29973,29976,29979,29982,29985,29988,29991)))",
            Select(
                "INBOX",
                False,
                qresync=QresyncParameters(
                    67890007,
                    90060115194045000,
                    SET(b"1:29997"),
                    SET(b"5000,7500,9000,9990:9999"),
                    SET(b"15000,22500,27000,29970,29973,29976,29979,29982,29985,29988,29991"),
                ),
            ),
        ),
        (
            b"SELECT box (condstore qresync (1 2))",  # eM Client 11 sends both in one list
            Select("box", False, condstore=True, qresync=QresyncParameters(1, 2)),
        ),
        (
            b"SELECT box (QRESYNC (1 0 (1 2)))",
            Select("box", False, qresync=QresyncParameters(1, 0, None, SET(b"1"), SET(b"2"))),
        ),
    ],
)
def test_select(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"SELECT",
        b"SELECT ",
        b"SELECT a b",
        b"SELECT (a)",
        b"SELECT box ()",
        b"SELECT box (FOO)",
        b"SELECT box (QRESYNC)",
        b"SELECT box (QRESYNC (0 1))",
        b"SELECT box (QRESYNC (1))",
        b"SELECT box (QRESYNC (1 9223372036854775808))",
        b"SELECT box (QRESYNC (1 2 1:*))",
        b"SELECT box (QRESYNC (1 2 $))",
        b"SELECT box (QRESYNC (1 2 1 (1)))",
        b"SELECT box (QRESYNC (1 2) QRESYNC (1 2))",
        b"SELECT box (CONDSTORE",
        b"SELECT b%x",
        b'SELECT "box',
    ],
)
def test_wrong_select_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


def test_name_that_is_no_utf7_cannot_be() -> None:
    refused = refusal(b"SELECT AT&T")
    assert (refused.status, refused.code) == (Status.NO, Code.CANNOT)
    assert parse(b"SELECT AT&T", utf8=True) == Select("AT&T", is_examine=False)


def test_name_that_is_no_utf8_cannot_be() -> None:
    assert refusal(b'SELECT "\xff"', utf8=True).code is Code.CANNOT
    assert refusal(b'SELECT "\xff"').code is Code.CANNOT


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"CREATE owatagusiam/", Create("owatagusiam")),  # RFC 9051 section 6.3.4
        (b"CREATE MyDrafts (USE (\\Drafts))", Create("MyDrafts", ("\\Drafts",))),  # RFC 6154 section 5.3
        (b'create "Old Mail" (use (\\ARCHIVE \\junk))', Create("Old Mail", ("\\Archive", "\\Junk"))),
        (b"CREATE x (USE ())", Create("x")),
        (b"DELETE a/b", Delete("a/b")),
        (b"RENAME a {3+}\r\nb c", Rename("a", "b c")),
        (b"SUBSCRIBE #news.comp.mail.mime", Subscribe("#news.comp.mail.mime", is_subscribe=True)),
        (b"unsubscribe x", Subscribe("x", is_subscribe=False)),
        (b"CREATE &2D3eAA-", Create("😀")),
        ("CREATE 😀&".encode(), None),
    ],
)
def test_changes_of_the_tree(line: bytes, command: Command | None) -> None:
    if command is None:
        assert parse(line, utf8=True) == Create("😀&")
    else:
        assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"CREATE",
        b"CREATE x ()",
        b"CREATE x (USE)",
        b"CREATE x (USE (Drafts))",
        b"CREATE x (FOO (\\Drafts))",
        b"DELETE",
        b"DELETE a b",
        b"RENAME a",
        b"RENAME a b c",
        b"SUBSCRIBE",
        b"SUBSCRIBE *",
    ],
)
def test_wrong_changes_of_the_tree_are_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize("line", [b"CREATE a&AAo-b", b"RENAME a b&AH8-", b'CREATE "a\tb"'])
def test_control_characters_are_refused_in_new_names(line: bytes) -> None:
    assert refusal(line).code is Code.CANNOT


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            b"STATUS blurdybloop (UIDNEXT MESSAGES)",  # RFC 9051 section 6.3.11
            StatusCommand("blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)),
        ),
        (
            b"status inbox ( messages recent uidnext uidvalidity unseen deleted size"
            b" highestmodseq appendlimit mailboxid )",
            StatusCommand(
                "INBOX",
                (
                    StatusItem.MESSAGES,
                    StatusItem.RECENT,
                    StatusItem.UIDNEXT,
                    StatusItem.UIDVALIDITY,
                    StatusItem.UNSEEN,
                    StatusItem.DELETED,
                    StatusItem.SIZE,
                    StatusItem.HIGHESTMODSEQ,
                    StatusItem.APPENDLIMIT,
                    StatusItem.MAILBOXID,
                ),
            ),
        ),
        (b"STATUS x (UNSEEN UNSEEN)", StatusCommand("x", (StatusItem.UNSEEN,))),
        (
            b"STATUS x (Unseen messages UNSEEN DELETED-storage)",
            StatusCommand("x", (StatusItem.UNSEEN, StatusItem.MESSAGES, StatusItem.DELETED_STORAGE)),
        ),
        (b"STATUS x (" + b"UNSEEN " * 20 + b"UIDNEXT)", StatusCommand("x", (StatusItem.UNSEEN, StatusItem.UIDNEXT))),
    ],
)
def test_status(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("name", ["Entwu\u0308rfe", "a\u2028b", "a\u0085b"])
def test_a_new_name_in_utf8_must_be_net_unicode(name: str) -> None:
    # RFC 9051 section 6.3.4, RFC 5198 section 2.
    for line in (f'CREATE "{name}"', f'RENAME x "{name}"'):
        assert refusal(line.encode(), utf8=True).code is Code.CANNOT
    # One that is there already is found by what it is called.
    assert parse(f'DELETE "{name}"'.encode(), utf8=True) == Delete(name)
    assert parse(f'RENAME "{name}" "\u00fc"'.encode(), utf8=True) == Rename(name, "\u00fc")


@pytest.mark.parametrize(
    "line",
    [
        b"STATUS x",
        b"STATUS x ()",
        b"STATUS x MESSAGES",
        b"STATUS x (FOO)",
        b"STATUS x (UNSEEN FOO)",
        b"STATUS x (UNSEEN)x",
        b"STATUS (MESSAGES)",
        b"STATUS x (UNSEEN",
    ],
)
def test_wrong_status_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
