from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import Append, Command
from tests.gateway.wire.reading import Stored, parse, refusal

MONDAY = datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(timedelta(hours=-8)))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"APPEND saved-messages (\\Seen) {3+}\r\nabc", Append("saved-messages", Stored(b"abc"), ("\\Seen",))),
        (b"append inbox {0}\r\n", Append("INBOX", Stored(b""))),
        (b'APPEND "a b" () {1}\r\nx ', Append("a b", Stored(b"x"))),
        (
            b'APPEND x (\\DRAFT $x) " 7-Feb-1994 21:52:25 -0800" {1}\r\nx',
            Append("x", Stored(b"x"), ("\\Draft", "$x"), MONDAY),
        ),
        (
            b'APPEND x "07-Feb-1994 21:52:25 +0000" ~{2+}\r\n\0x',
            Append("x", Stored(b"\0x"), (), datetime(1994, 2, 7, 21, 52, 25, tzinfo=UTC)),
        ),
        (b"APPEND {3+}\r\na b {2}\r\n\r\n", Append("a b", Stored(b"\r\n"))),
        (b"APPEND Sent (\\Seen) UTF8 (~{4+}\r\nabcd)", Append("Sent", Stored(b"abcd"), ("\\Seen",), is_utf8=True)),
        (b"APPEND APPEND {2}\r\n\0x", Append("APPEND", Stored(b"\0x"))),
        (b"append Sent utf8 (~{4}\r\na)b))", Append("Sent", Stored(b"a)b)"), is_utf8=True)),
        (b"APPEND UTF8 UTF8 (~{1}\r\nx)", Append("UTF8", Stored(b"x"), is_utf8=True)),
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
        b"APPEND x {3+}\r\nabc {3+}\r\ndef",
        b"APPEND x {3+}\r\nabc{3+}\r\ndef",
        b"APPEND x {3+}\r\nabc)",
        b"APPEND x UTF8 {3+}\r\nabc",
        b"APPEND x UTF8 (~{3+}\r\nabc",
        b"APPEND x (\\Recent) {3+}\r\nabc",
        b"APPEND x ({3+}\r\nabc)",
        b'APPEND x "30-Feb-2024 00:00:00 +0000" {3+}\r\nabc',
        b'APPEND x "1-Feb-2024" {3+}\r\nabc',
        b"APPEND x CATENATE (TEXT {3+}\r\nabc)",
    ],
)
def test_wrong_append_is_refused_and_its_message_read_past(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
