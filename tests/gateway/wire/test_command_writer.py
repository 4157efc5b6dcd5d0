"""Commands as a client writes them."""

from __future__ import annotations

import pytest

from gateway.wire.command_writer import (
    Argument,
    CommandWriter,
    LiteralMode,
    Message,
    Segment,
    Text,
    UnsafeArgument,
)

SYNC, MINUS, PLUS = LiteralMode.SYNCHRONISING, LiteralMode.MINUS, LiteralMode.PLUS


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), b"G1 NOOP\r\n"),
        ((Text(b"INBOX"),), b"G1 NOOP INBOX\r\n"),
        ((Text(b"My Folder"),), b'G1 NOOP "My Folder"\r\n'),
        ((Text(b'a"b\\c'),), b'G1 NOOP "a\\"b\\\\c"\r\n'),
        ((Text(b""),), b'G1 NOOP ""\r\n'),
        ((Text(b"NIL"),), b'G1 NOOP "NIL"\r\n'),
        ((Text(b"{5}"),), b'G1 NOOP "{5}"\r\n'),
        ((Text(b"*"), b"*"), b'G1 NOOP "*" *\r\n'),
        ((b"1:*", b"(UID FLAGS)"), b"G1 NOOP 1:* (UID FLAGS)\r\n"),
        (((Text(b"a b"), (b"x", Text(b"c"))),), b'G1 NOOP ("a b" (x c))\r\n'),
    ],
)
def test_each_argument_is_written_as_its_octets_need(arguments: tuple[Argument, ...], line: bytes) -> None:
    assert CommandWriter().encode(b"G1", b"NOOP", arguments) == [Segment(line)]


def test_a_literal_waits_for_the_server_to_ask() -> None:
    segments = CommandWriter(SYNC).encode(b"G1", b"SELECT", [Text("Größe".encode())])
    assert segments == [Segment(b"G1 SELECT {7}\r\n", is_asking=True), Segment("Größe\r\n".encode())]


@pytest.mark.parametrize("mode", [MINUS, PLUS])
def test_a_small_literal_does_not_wait_where_the_server_allows(mode: LiteralMode) -> None:
    segments = CommandWriter(mode).encode(b"G1", b"SELECT", [Text("Größe".encode()), b"x"])
    assert segments == [Segment("G1 SELECT {7+}\r\nGröße x\r\n".encode())]


@pytest.mark.parametrize(
    ("mode", "size", "is_asking"),
    [(SYNC, 1, True), (MINUS, 4096, False), (MINUS, 4097, True), (PLUS, 65536, False), (PLUS, 65537, True)],
)
def test_a_message_is_announced_by_mode_and_size(mode: LiteralMode, size: int, is_asking: bool) -> None:
    segments = CommandWriter(mode).encode(b"G1", b"APPEND", [Text(b"INBOX"), b"()", Message(size)])
    brace = b"{%d}" % size if is_asking else b"{%d+}" % size
    assert segments == [Segment(b"G1 APPEND INBOX () " + brace + b"\r\n", is_asking, size), Segment(b"\r\n")]


def test_a_long_text_under_literal_minus_waits() -> None:
    segments = CommandWriter(MINUS).encode(b"G1", b"LOGIN", [Text(b"x" * 4097)])
    assert segments[0] == Segment(b"G1 LOGIN {4097}\r\n", is_asking=True)


def test_utf8_is_quoted_where_it_was_enabled() -> None:
    assert CommandWriter(utf8=True).encode(b"G1", b"SELECT", [Text("ü".encode())]) == [
        Segment('G1 SELECT "ü"\r\n'.encode())
    ]


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\0"])
@pytest.mark.parametrize("wrap", [lambda data: data, Text, lambda data: (b"a", Text(data))])
def test_what_could_begin_another_command_is_refused(octet: bytes, wrap: type[Text]) -> None:
    with pytest.raises(UnsafeArgument):
        CommandWriter(PLUS).encode(b"G1", b"SELECT", [wrap(b"a" + octet + b"b")])


@pytest.mark.parametrize(("tag", "name"), [(b"", b"NOOP"), (b"a b", b"NOOP"), (b"a", b"noop\r\n"), (b"+", b"NOOP")])
def test_a_wrong_tag_or_name_is_refused(tag: bytes, name: bytes) -> None:
    with pytest.raises(ValueError, match="tag or command"):
        CommandWriter().encode(tag, name)


def test_text_does_not_show_what_it_holds() -> None:
    assert "hunter2" not in repr(Text(b"hunter2"))
