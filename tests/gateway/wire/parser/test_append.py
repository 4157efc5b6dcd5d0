from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import Append, AppendMessage, Catenation, Command, Replace
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import Stored, parse, refusal

MONDAY = datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(timedelta(hours=-8)))
MORNING = datetime(1994, 2, 7, 21, 52, 25, tzinfo=UTC)


def one(
    mailbox: str, data: bytes, flags: tuple[str, ...] = (), date: datetime | None = None, *, utf8: bool = False
) -> Append:
    return Append(mailbox, (AppendMessage(Stored(data), flags, date, utf8),))


def joined(*parts: bytes | str) -> Catenation:
    return Catenation(tuple(part if isinstance(part, str) else Stored(part) for part in parts))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"APPEND saved-messages (\\Seen) {3+}\r\nabc", one("saved-messages", b"abc", ("\\Seen",))),
        (b"append inbox {0}\r\n", one("INBOX", b"")),
        (b'APPEND "a b" () {1}\r\nx ', one("a b", b"x")),
        (
            b'APPEND x (\\DRAFT $x) " 7-Feb-1994 21:52:25 -0800" {1}\r\nx',
            one("x", b"x", ("\\Draft", "$x"), MONDAY),
        ),
        (
            b'APPEND x "07-Feb-1994 21:52:25 +0000" ~{2+}\r\n\0x',
            one("x", b"\0x", (), MORNING),
        ),
        (b"APPEND {3+}\r\na b {2}\r\n\r\n", one("a b", b"\r\n")),
        (b"APPEND Sent (\\Seen) UTF8 (~{4+}\r\nabcd)", one("Sent", b"abcd", ("\\Seen",), utf8=True)),
        (b"APPEND APPEND {2}\r\n\0x", one("APPEND", b"\0x")),
        (b"append Sent utf8 (~{4}\r\na)b))", one("Sent", b"a)b)", utf8=True)),
        (b"APPEND UTF8 UTF8 (~{1}\r\nx)", one("UTF8", b"x", utf8=True)),
    ],
)
def test_append(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"APPEND",
        b"APPEND x",
        b"APPEND x y",
        b'APPEND x "abc"',
        b"APPEND x (\\Seen)",
        b"APPEND x {3+}\r\nabc{3+}\r\ndef",
        b"APPEND x {3+}\r\nabc)",
        b"APPEND x UTF8 {3+}\r\nabc",
        b"APPEND x UTF8 (~{3+}\r\nabc",
        b"APPEND x (\\Recent) {3+}\r\nabc",
        b"APPEND x ({3+}\r\nabc)",
        b'APPEND x "30-Feb-2024 00:00:00 +0000" {3+}\r\nabc',
        b'APPEND x "1-Feb-2024" {3+}\r\nabc',
        b"APPEND x {3+}\r\nabc x {3+}\r\ndef",
        b"APPEND x {3+}\r\nabc (\\Seen {3+}\r\ndef",
        b"APPEND x CATENATE ()",
        b"APPEND x CATENATE (FILE {3+}\r\nabc)",
        b"APPEND x CATENATE (TEXT {3+}\r\nabc",
        b"APPEND x CATENATE (UTF8 {3+}\r\nabc)",
        b"APPEND x CATENATE (UTF8 (~{3+}\r\nabc)",
        b"APPEND x CATENATE (URL {3}\r\n/\xff;)",
        b"APPEND x (\\Seen) CATENATE {3+}\r\nabc",
        b"APPEND x CATENATE (URL /a){3+}\r\nabc",
        b"APPEND x CATENATE (URL /a) URL /b {3+}\r\nabc",
        b"APPEND x {1+}\r\na CATENATE (URL /a){3+}\r\nabc",
        b"APPEND x CATENATE (TEXT {1+}\r\na URL /b {3+}\r\nabc",
        b"REPLACE 1 x CATENATE (URL /a) {3+}\r\nabc",
        b"REPLACE x {3+}\r\nabc",
        b"REPLACE 1:2 x {3+}\r\nabc",
        b"REPLACE $ x {3+}\r\nabc",
        b"REPLACE 0 x {3+}\r\nabc",
        b"REPLACE 1 x",
        b"REPLACE 1 x {3+}\r\nabc {3+}\r\nabc",
    ],
)
def test_wrong_append_is_refused_and_its_message_read_past(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 3502 section 6.3.11
        (
            b'APPEND saved (\\Seen) {3+}\r\nabc (\\Flagged) " 7-Feb-1994 21:52:25 -0800" {2+}\r\nde {0+}\r\n',
            Append(
                "saved",
                (
                    AppendMessage(Stored(b"abc"), ("\\Seen",)),
                    AppendMessage(Stored(b"de"), ("\\Flagged",), MONDAY),
                    AppendMessage(Stored(b"")),
                ),
            ),
        ),
        (
            b"APPEND x {1+}\r\na UTF8 (~{1+}\r\nb) {1+}\r\nc",
            Append("x", tuple(AppendMessage(Stored(data), is_utf8=data == b"b") for data in (b"a", b"b", b"c"))),
        ),
        # RFC 4469 section 4
        (
            b"APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (TEXT {3+}\r\nabc TEXT {2+}\r\nde"
            b' URL "/Drafts;UIDVALIDITY=385759045/;UID=30/;section=HEADER" TEXT {1+}\r\nf)',
            Append(
                "Drafts",
                (
                    AppendMessage(
                        joined(b"abc", b"de", "/Drafts;UIDVALIDITY=385759045/;UID=30/;section=HEADER", b"f"),
                        ("\\Seen", "\\Draft", "$MDNSent"),
                    ),
                ),
            ),
        ),
        (b'APPEND x CATENATE (URL "/a;UID=1")', Append("x", (AppendMessage(joined("/a;UID=1")),))),
        (
            b"APPEND x CATENATE (URL {8+}\r\n/a;UID=1 TEXT {1+}\r\nb URL {8+}\r\n/c;UID=2)",
            Append("x", (AppendMessage(joined("/a;UID=1", b"b", "/c;UID=2")),)),
        ),
        (
            b"APPEND x CATENATE (TEXT UTF8 (~{1+}\r\na) TEXT {1+}\r\nb) (\\Seen) CATENATE (TEXT {1+}\r\nc) {1+}\r\nd",
            Append(
                "x",
                (
                    AppendMessage(joined(b"a", b"b")),
                    AppendMessage(joined(b"c"), ("\\Seen",)),
                    AppendMessage(Stored(b"d")),
                ),
            ),
        ),
        # Messages of URLs alone, before, between and behind those with octets; URLs have spaces if they are quoted.
        (
            b'APPEND x CATENATE (URL "/a;UID=1") (\\Seen) {1+}\r\nb',
            Append("x", (AppendMessage(joined("/a;UID=1")), AppendMessage(Stored(b"b"), ("\\Seen",)))),
        ),
        (
            b'APPEND x CATENATE (URL /a URL "/b") " 7-Feb-1994 21:52:25 -0800" CATENATE (URL {2+}\r\n/c) {1+}\r\nd',
            Append(
                "x",
                (
                    AppendMessage(joined("/a", "/b")),
                    AppendMessage(joined("/c"), (), MONDAY),
                    AppendMessage(Stored(b"d")),
                ),
            ),
        ),
        (
            b'APPEND x CATENATE (TEXT {1+}\r\na URL /b) (\\Seen) CATENATE (URL "/c(d \\"e)" TEXT {1+}\r\nf URL "/g h"'
            b" URL /i) CATENATE (URL /j) (\\Draft) CATENATE (URL /k UTF8 (~{1+}\r\nl) URL /m) CATENATE (URL /n)"
            b" {1+}\r\no",
            Append(
                "x",
                (
                    AppendMessage(joined(b"a", "/b")),
                    AppendMessage(joined('/c(d "e)', b"f", "/g h", "/i"), ("\\Seen",)),
                    AppendMessage(joined("/j")),
                    AppendMessage(joined("/k", b"l", "/m"), ("\\Draft",)),
                    AppendMessage(joined("/n")),
                    AppendMessage(Stored(b"o")),
                ),
            ),
        ),
        # RFC 6855 section 4: cat-part =/ utf8-literal
        (
            b"APPEND x CATENATE (UTF8 (~{1+}\r\na) URL /b utf8 (~{1+}\r\nc) TEXT {1+}\r\nd) UTF8 (~{1+}\r\ne)",
            Append(
                "x",
                (AppendMessage(joined(b"a", "/b", b"c", b"d")), AppendMessage(Stored(b"e"), is_utf8=True)),
            ),
        ),
        (
            b"APPEND x {1+}\r\na CATENATE (URL /b UTF8 (~{1+}\r\nc))",
            Append("x", (AppendMessage(Stored(b"a")), AppendMessage(joined("/b", b"c")))),
        ),
        (b"APPEND URL {3+}\r\nabc", one("URL", b"abc")),
    ],
)
def test_several_messages_and_parts(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 8508 section 3.4
        (
            b"REPLACE 4 Drafts (\\Seen \\Draft) {3+}\r\nabc",
            Replace(SequenceSet(((4, 4),)), False, "Drafts", AppendMessage(Stored(b"abc"), ("\\Seen", "\\Draft"))),
        ),
        (
            b"UID REPLACE 2000 {6+}\r\nDrafts {3+}\r\nabc",
            Replace(SequenceSet(((2000, 2000),)), True, "Drafts", AppendMessage(Stored(b"abc"))),
        ),
        (
            b"replace * inbox CATENATE (TEXT {1+}\r\na URL /b)",
            Replace(SequenceSet.parse(b"*"), False, "INBOX", AppendMessage(joined(b"a", "/b"))),
        ),
    ],
)
def test_replace(line: bytes, command: Command) -> None:
    assert parse(line) == command


def test_many_messages_are_read_in_linear_time_and_bounded() -> None:
    assert len(parse(b"APPEND x" + b" {1+}\r\na" * 2000).messages) == 2000  # type: ignore[union-attr]
    refused = refusal(b"APPEND x" + b" {1+}\r\na" * 6000)
    assert refused.status is Status.NO
