"""Sentences of IMAP: how they are written, and what is taken for an answer."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.api.credentials import BearerCredential, Secret
from connectors.graph.imap_wire import (
    Malformed,
    Status,
    append_limit,
    date_time,
    literal,
    literal_of,
    mailbox_name,
    read_delimiter,
    read_status,
    read_untagged,
    xoauth2,
)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"OK done", Status("OK", text="done")),
        (b"ok", Status("OK")),
        (b"NO [TRYCREATE] no such folder", Status("NO", "TRYCREATE", "", "no such folder")),
        (b"OK [APPENDUID 38505 3955] done", Status("OK", "APPENDUID", "38505 3955", "done")),
        (b"BAD [x]", Status("BAD", "X")),
        (b"OK see {12}", Status("OK", text="see {12}")),
        (b"BYE [] odd", Status("BYE", text="[] odd")),
    ],
)
def test_a_status_is_read(octets: bytes, status: Status) -> None:
    assert read_status(octets) == status


@pytest.mark.parametrize("octets", [b"", b"OKAY done", b"FETCH (", b"OK\tdone", b"OK a\x00b", b"OK a\rb"])
def test_what_is_no_status_is_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read_status(octets)


@pytest.mark.parametrize(
    ("status", "uid"),
    [
        (Status("OK", "APPENDUID", "38505 3955"), 3955),
        (Status("OK", "APPENDUID", "38505 0"), None),
        (Status("OK", "APPENDUID", "38505 1:2"), None),
        (Status("OK", "COPYUID", "38505 3955"), None),
        (Status("OK"), None),
    ],
)
def test_the_uid_is_that_of_one_message(status: Status, uid: int | None) -> None:
    assert status.appended_uid == uid


def test_what_is_shown_to_an_operator_has_no_control_characters() -> None:
    assert Status("NO", "ALERT", "", "a\x1b[31mb").shown == "NO [ALERT] a [31mb"


def test_capabilities_are_in_upper_case() -> None:
    status = read_status(b"OK [CAPABILITY IMAP4rev1 Auth=XOAuth2] hello")
    assert status.capabilities == frozenset({"IMAP4REV1", "AUTH=XOAUTH2"})
    assert read_status(b"OK hello").capabilities is None


def test_an_untagged_response_is_read() -> None:
    assert (read_untagged(b"* 7 exists").word, read_untagged(b"* CAPABILITY a b").rest) == ("7 EXISTS", b"a b")
    for line in (b"* ", b"+ go", b"*  1688 EXISTS", b"* 99999999999 EXISTS", b"HTTP/1.1 400 Bad Request"):
        with pytest.raises(Malformed):
            read_untagged(line)


@pytest.mark.parametrize(
    ("rest", "delimiter"),
    [
        (rb'(\Noselect) "/" ""', "/"),
        (rb'(\Noselect) "\\" ""', "\\"),
        (rb'() "." INBOX', "."),
        (rb'(\HasNoChildren) NIL "a \"b\""', None),
    ],
)
def test_the_delimiter_is_read(rest: bytes, delimiter: str | None) -> None:
    assert read_delimiter(rest) == delimiter


@pytest.mark.parametrize("rest", [b"", rb'() "//" ""', rb'() "/"', rb'() / ""', rb'() "/" "" x', rb'() "\" ""'])
def test_what_is_no_answer_to_list_is_malformed(rest: bytes) -> None:
    with pytest.raises(Malformed):
        read_delimiter(rest)


def test_only_the_name_in_list_may_be_a_literal() -> None:
    assert literal_of(rb'* LIST (\Noselect) "/" {3}') == (rb'* LIST (\Noselect) "/" ', 3)
    assert literal_of(b"* OK see {3}") is None
    assert literal_of(b"A1 OK see {3}") is None
    assert literal_of(rb'* LIST () "/" {9999999}') is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("INBOX",), b'"INBOX"'),
        (("INBOX", "Work"), b'"INBOX/Work"'),
        (("R&D",), b'"R&-D"'),
        (("Entwürfe", "日本"), b'"Entw&APw-rfe/&ZeVnLA-"'),
        (('a"b\\c',), rb'"a\"b\\c"'),
        (("a\r\nb",), b'"a&AA0ACg-b"'),
        (("\U0001f4e7",), b'"&2D3c5w-"'),
        (("\ud800",), b'"&,,0-"'),
    ],
)
def test_a_name_is_in_modified_utf7(path: tuple[str, ...], name: bytes) -> None:
    assert mailbox_name(path, "/") == name


def test_the_delimiter_is_the_servers() -> None:
    assert mailbox_name(("a/b", "c"), ".") == b'"a/b.c"'
    with pytest.raises(ValueError, match=r"holds \."):
        mailbox_name(("a.b",), ".")
    with pytest.raises(ValueError, match="no hierarchy"):
        mailbox_name(("a", "b"), None)
    assert mailbox_name(("a/b",), None) == b'"a/b"'


def test_a_date_is_in_utc() -> None:
    when = datetime(2024, 5, 6, 1, 2, 3, 999_999, timezone(timedelta(hours=2)))
    assert date_time(when) == b'" 5-May-2024 23:02:03 +0000"'
    assert date_time(datetime(1601, 1, 2, tzinfo=UTC)) == b'" 2-Jan-1601 00:00:00 +0000"'


def test_a_literal_waits_unless_the_server_needs_no_asking() -> None:
    assert literal(5, frozenset({"LITERAL+"})) == (b"{5+}", False)
    assert literal(4096, frozenset({"LITERAL-"})) == (b"{4096+}", False)
    assert literal(4097, frozenset({"LITERAL-"})) == (b"{4097}", True)
    assert literal(5, frozenset()) == (b"{5}", True)


def test_the_limit_of_a_message_is_read() -> None:
    assert append_limit(frozenset({"APPENDLIMIT=35651584"})) == 35651584
    assert append_limit(frozenset({"APPENDLIMIT"})) is None
    assert append_limit(frozenset({"APPENDLIMIT=x"})) is None


def test_a_token_is_said_as_microsoft_wants_it() -> None:
    said = xoauth2(BearerCredential("alex@example.org", Secret("t-1")))
    assert base64.b64decode(said) == b"user=alex@example.org\x01auth=Bearer t-1\x01\x01"
    with pytest.raises(ValueError, match="control character"):
        xoauth2(BearerCredential("alex@example.org\x01auth=Bearer other", Secret("t-1")))
