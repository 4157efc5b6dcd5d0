from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Append, AppendMessage, Authenticate, Idle, Login, Noop
from gateway.wire.reader import (
    BadCommand,
    CommandReader,
    ContinuationNeeded,
    Event,
    FatalError,
    Limits,
    LineTooLong,
    ReadCommand,
)
from tests.gateway.wire.reading import CUTS, MemorySpool, Spools, Stored, byte_by_byte, events, make_reader

SMALL = Limits(line_octets=40, literal_octets=10, append_octets=20)


def read_all(data: bytes, limits: Limits | None = None) -> list[Event]:
    """Return the events, which must be the same however the input is cut."""
    first, *others = [events(make_reader(limits), cut(data)) for cut in CUTS]
    assert all(other == first for other in others)
    return first


# -- lines -------------------------------------------------------------------------------------------------------------


def test_commands_come_out_in_order() -> None:
    assert read_all(b"a1 NOOP\r\na2 noop\r\n") == [
        ReadCommand("a1", Noop(), "NOOP"),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


@pytest.mark.parametrize("data", [b"", b"a1 NOOP", b"a1 NOOP\r", b"a1 LOGIN {3+}\r\nab"])
def test_half_a_command_is_nothing_yet(data: bytes) -> None:
    assert read_all(data) == []


def test_empty_lines_before_a_command_are_ignored() -> None:
    assert read_all(b"\r\n\n\r\na1 NOOP\r\n") == [ReadCommand("a1", Noop(), "NOOP")]


def test_bare_line_feed_ends_a_command() -> None:
    assert read_all(b"a1 NOOP\na2 NOOP\r\n") == [ReadCommand("a1", Noop(), "NOOP"), ReadCommand("a2", Noop(), "NOOP")]


def test_trailing_space_is_no_error() -> None:
    assert read_all(b"a1 NOOP \r\n") == [ReadCommand("a1", Noop(), "NOOP")]


@pytest.mark.parametrize(
    "line", [b"* NOOP", b"+ NOOP", b"a(b NOOP", b"\x16\x03\x01", b'"a" NOOP', b"x" * 300 + b" NOOP"]
)
def test_line_without_a_valid_tag_is_refused_untagged(line: bytes) -> None:
    assert read_all(line + b"\r\na2 NOOP\r\n") == [
        BadCommand(None, "No valid tag"),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


@pytest.mark.parametrize(
    "line", [b"a1 FOO", b"a1 UID NOOP", b"a1 UID", b"a1", b"a1 NOOP2", b"a1 N\xc3\x96OP", b"a1 NOOP x"]
)
def test_unknown_command_is_refused_with_its_tag(line: bytes) -> None:
    refused, good = read_all(line + b"\r\na2 NOOP\r\n")
    assert isinstance(refused, BadCommand)
    assert (refused.tag, refused.status) == ("a1", Status.BAD)
    assert good == ReadCommand("a2", Noop(), "NOOP")


def test_line_at_the_limit_is_read_and_one_above_is_skipped() -> None:
    fitting = b"a1 LOGIN bob " + b"x" * 27
    assert len(fitting) == SMALL.line_octets
    assert read_all(fitting + b"\r\n", SMALL) == [ReadCommand("a1", Login("bob", b"x" * 27), "LOGIN")]
    assert read_all(fitting + b"x\r\na2 NOOP\r\n", SMALL) == [
        BadCommand("a1", "Command line too long", Code.LIMIT),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_very_long_line_is_skipped_without_being_kept() -> None:
    reader = make_reader(SMALL)
    reader.feed(b"a1 LOGIN ")
    for _ in range(1000):
        reader.feed(b"x" * 1000)
        assert reader.next_command() is None
        assert reader.buffered_octets <= 1000
    reader.feed(b"\r\na2 NOOP\r\n")
    assert events(reader, ()) == []
    assert reader.next_command() == BadCommand("a1", "Command line too long", Code.LIMIT)
    assert reader.next_command() == ReadCommand("a2", Noop(), "NOOP")


def test_tag_that_was_cut_short_is_not_told() -> None:
    refused = BadCommand(None, "Command line too long", Code.LIMIT)
    assert read_all(b"x" * 300 + b" NOOP\r\n", SMALL) == [refused]


def test_literal_behind_a_line_too_long_is_not_taken_for_commands() -> None:
    data = b"a1 LOGIN " + b"x" * 100 + b" {9+}\r\nb1 NOOP\r\n\r\na2 NOOP\r\n"
    assert read_all(data, SMALL) == [
        BadCommand("a1", "Command line too long", Code.LIMIT),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_line_limit_counts_the_text_around_literals_together() -> None:
    data = b"a1 SEARCH SUBJECT {1+}\r\na SUBJECT {1+}\r\nb SUBJECT {1+}\r\nc\r\na2 NOOP\r\n"
    refused, good = read_all(data, SMALL)
    assert refused == BadCommand("a1", "Command line too long", Code.LIMIT)
    assert good == ReadCommand("a2", Noop(), "NOOP")


# -- literals ----------------------------------------------------------------------------------------------------------


def test_synchronising_literal_asks_for_a_continuation() -> None:
    assert read_all(b"a1 LOGIN {3}\r\nbob {5}\r\na\r\nb\xff\r\n") == [
        ContinuationNeeded(),
        ContinuationNeeded(),
        ReadCommand("a1", Login("bob", b"a\r\nb\xff"), "LOGIN"),
    ]


def test_non_synchronising_literal_does_not_ask() -> None:
    assert read_all(b"a1 LOGIN {3+}\r\nbob {0+}\r\n\r\n") == [ReadCommand("a1", Login("bob", b""), "LOGIN")]


def test_braces_inside_a_line_announce_nothing() -> None:
    assert read_all(b'a1 LOGIN bob "{3}"\r\n') == [ReadCommand("a1", Login("bob", b"{3}"), "LOGIN")]
    assert read_all(b"a1 SELECT {3}x\r\n")[0] == BadCommand("a1", "String expected at '{3}x'")


def test_refused_synchronising_literal_is_never_waited_for() -> None:
    assert read_all(b"a1 LOGIN {11}\r\na2 NOOP\r\n", SMALL) == [
        BadCommand("a1", "Literal too large", Code.LIMIT, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_refused_non_synchronising_literal_is_drained() -> None:
    data = b"a1 LOGIN {12+}\r\nb1 NOOP\r\n..." + b" {4+}\r\nxxxx\r\na2 NOOP\r\n"
    assert read_all(data, SMALL) == [
        BadCommand("a1", "Literal too large", Code.LIMIT, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_synchronising_literal_behind_a_drained_one_ends_the_command() -> None:
    assert read_all(b"a1 LOGIN {12+}\r\n............ {3}\r\na2 NOOP\r\n", SMALL) == [
        BadCommand("a1", "Literal too large", Code.LIMIT, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_literals_of_one_command_are_limited_together() -> None:
    data = b"a1 LOGIN {6+}\r\n123456 {6+}\r\n123456\r\na2 NOOP\r\n"
    assert read_all(data, SMALL) == [
        BadCommand("a1", "Literal too large", Code.LIMIT, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


@pytest.mark.parametrize("announced", [b"201", b"99999999999999999999999999"])
def test_non_synchronising_literal_beyond_the_hard_cap_ends_the_connection(announced: bytes) -> None:
    data = b"a1 LOGIN {" + announced + b"+}\r\na2 NOOP\r\n"
    reader = make_reader(SMALL)
    assert events(reader, [data]) == [FatalError("Literal too large", Code.TOOBIG)]
    reader.feed(b"a3 NOOP\r\n")
    assert reader.next_command() is None
    assert reader.buffered_octets == 0


def test_a_large_literal_that_did_not_wait_is_refused_where_they_have_to() -> None:
    small = Limits(literal_octets=100, append_octets=1000, unasked_octets=10)
    text = "Literals above 10 octets wait for the server"
    data = b"a1 LOGIN {11+}\r\na2 LOGOUT\r\n x\r\na3 LOGIN {10+}\r\n0123456789 x\r\na4 NOOP\r\n"
    assert read_all(data, small) == [
        BadCommand("a1", text),
        ReadCommand("a3", Login("0123456789", b"x"), "LOGIN"),
        ReadCommand("a4", Noop(), "NOOP"),
    ]
    # RFC 7888 section 5: TOOBIG is told of an APPEND.
    message = b"x" * 11
    assert read_all(b"a1 APPEND INBOX {11+}\r\n" + message + b"\r\na2 NOOP\r\n", small) == [
        BadCommand("a1", text, Code.TOOBIG),
        ReadCommand("a2", Noop(), "NOOP"),
    ]
    assert read_all(b"a1 APPEND INBOX {11}\r\n" + message + b"\r\n", small) == [
        ContinuationNeeded(),
        ReadCommand("a1", Append("INBOX", (AppendMessage(Stored(message)),)), "APPEND"),
    ]


def test_literal_of_an_unknown_command_is_refused_before_it_is_sent() -> None:
    assert read_all(b"a1 FOO {3}\r\na2 NOOP\r\n") == [
        BadCommand("a1", "Unknown command"),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


def test_nul_in_a_literal_is_refused() -> None:
    assert read_all(b"a1 LOGIN bob {3+}\r\na\0b\r\n") == [BadCommand("a1", "NUL in a literal")]


def test_binary_literal_is_refused_outside_append() -> None:
    assert read_all(b"a1 LOGIN bob ~{3+}\r\nabc\r\n") == [BadCommand("a1", "A binary literal is not allowed here")]


# -- APPEND ------------------------------------------------------------------------------------------------------------


def test_message_of_append_goes_to_the_spool() -> None:
    for cut in CUTS:
        spools = Spools()
        reader = CommandReader(Limits(), spools)
        assert events(reader, cut(b"a1 APPEND {5}\r\nDr&-s (\\seen) {6}\r\nab\r\n\0c\r\na2 NOOP\r\n")) == [
            ContinuationNeeded(),
            ContinuationNeeded(),
            ReadCommand("a1", Append("Dr&s", (AppendMessage(Stored(b"ab\r\n\0c"), ("\\Seen",)),)), "APPEND"),
            ReadCommand("a2", Noop(), "NOOP"),
        ]
        (spool,) = spools.made
        assert len(spool.contents) == 1
        assert not spool.is_aborted


def test_message_may_be_larger_than_other_literals_and_the_line() -> None:
    message = b"x" * 300_000
    data = b"a1 APPEND box {300000+}\r\n" + message + b"\r\n"
    reader = make_reader()
    pieces = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    assert events(reader, pieces) == [ReadCommand("a1", Append("box", (AppendMessage(Stored(message)),)), "APPEND")]


def test_message_too_large_is_refused_with_its_code() -> None:
    refused = BadCommand("a1", "Message too large", Code.TOOBIG, Status.NO)
    assert read_all(b"a1 APPEND box {21}\r\na2 NOOP\r\n", SMALL) == [refused, ReadCommand("a2", Noop(), "NOOP")]
    drained = b"a1 APPEND box {21+}\r\n" + b"x" * 21 + b"\r\na2 NOOP\r\n"
    assert read_all(drained, SMALL) == [refused, ReadCommand("a2", Noop(), "NOOP")]


def test_append_limit_can_be_set_later() -> None:
    reader = make_reader()
    reader.append_octets = 0
    assert events(reader, [b"a1 APPEND box {1}\r\n"]) == [BadCommand("a1", "Message too large", Code.TOOBIG, Status.NO)]
    reader.append_octets = 1
    assert reader.limits.append_octets == 1
    assert events(reader, [b"a1 APPEND box {1}\r\n"]) == [ContinuationNeeded()]


@pytest.mark.parametrize(
    "head", [b"a1 APPEND", b"a1 APPEND box (\\Recent)", b'a1 APPEND box "32-Jan-2024 00:00:00 +0000"', b"a1 APPEND b ("]
)
def test_message_of_a_wrong_append_is_refused_before_it_is_sent(head: bytes) -> None:
    refused, good = read_all(head + b"{3}\r\na2 NOOP\r\n")
    assert isinstance(refused, BadCommand)
    assert (refused.tag, refused.status) == ("a1", Status.BAD)
    assert good == ReadCommand("a2", Noop(), "NOOP")


def test_append_that_goes_wrong_behind_the_message_aborts_the_spool() -> None:
    for data in (
        b"a1 APPEND b {3+}\r\nabc x\r\n",
        b"a1 APPEND b {3+}\r\nabc {3+}\r\nabcx\r\n",
        b"a1 APPEND b {3+}\r\nabcx {3}\r\n",
        b"a1 APPEND b UTF8 (~{3+}\r\nabc\r\n",
    ):
        spools = Spools()
        (refused,) = events(CommandReader(Limits(), spools), [data])
        assert isinstance(refused, BadCommand)
        assert refused.tag == "a1"
        (spool,) = spools.made
        assert spool.is_aborted


def test_spool_that_fails_gives_no_and_keeps_the_stream_in_step() -> None:
    class FullSpool(MemorySpool):
        def write(self, data: bytes) -> None:
            raise OSError("disk full")

    made: list[FullSpool] = []

    def make(size: int) -> FullSpool:
        made.append(FullSpool(size))
        return made[-1]

    reader = CommandReader(Limits(), make)
    assert events(reader, byte_by_byte(b"a1 APPEND box {9}\r\nb1 NOOP\r\n\r\na2 NOOP\r\n")) == [
        ContinuationNeeded(),
        BadCommand("a1", "The message cannot be stored at present", Code.UNAVAILABLE, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]
    assert made[0].is_aborted


def test_spool_that_cannot_be_made_gives_no_at_once() -> None:
    def make(size: int) -> MemorySpool:
        raise OSError("no directory")

    assert events(CommandReader(Limits(), make), [b"a1 APPEND box {9}\r\na2 NOOP\r\n"]) == [
        BadCommand("a1", "The message cannot be stored at present", Code.UNAVAILABLE, Status.NO),
        ReadCommand("a2", Noop(), "NOOP"),
    ]


# -- lines that are no commands ----------------------------------------------------------------------------------------


def test_command_behind_done_is_kept() -> None:
    reader = make_reader()
    reader.feed(b"a1 IDLE\r\nDONE\r\na2 NOOP\r\n")
    assert reader.next_command() == ReadCommand("a1", Idle(), "IDLE")
    assert reader.next_line() == b"DONE"
    assert reader.next_line() == b"a2 NOOP"


def test_sasl_answer_is_read_as_a_line() -> None:
    reader = make_reader()
    reader.feed(b"a1 AUTHENTICATE plain\r\nAGJvYg")
    assert reader.next_command() == ReadCommand("a1", Authenticate("PLAIN", None), "AUTHENTICATE")
    assert reader.next_line() is None
    reader.feed(b"==\r\n\r\na2 NOOP\r\n")
    assert reader.next_line() == b"AGJvYg=="
    assert reader.next_line() == b""
    assert reader.next_command() == ReadCommand("a2", Noop(), "NOOP")


def test_sasl_answer_too_long_is_skipped() -> None:
    for cut in CUTS:
        reader = make_reader(SMALL)
        lines: list[bytes | LineTooLong] = []
        for piece in cut(b"x" * 500 + b"\r\nDONE\r\n"):
            reader.feed(piece)
            while (line := reader.next_line()) is not None:
                lines.append(line)
        assert isinstance(lines[0], LineTooLong)
        assert lines[1:] == [b"DONE"]


def test_starttls_forgets_everything_buffered() -> None:
    spools = Spools()
    reader = CommandReader(Limits(), spools)
    reader.feed(b"a1 APPEND box {10+}\r\nabc")
    assert reader.next_command() is None
    reader.discard_input()
    assert reader.buffered_octets == 0
    assert spools.made[0].is_aborted
    assert events(reader, [b"a2 NOOP\r\n"]) == [ReadCommand("a2", Noop(), "NOOP")]


def test_buffered_octets_are_those_not_read_yet() -> None:
    reader = make_reader()
    reader.feed(b"a1 NOOP\r\na2 NOOP\r\n")
    assert reader.buffered_octets == 18
    reader.next_command()
    assert reader.buffered_octets == 9


# -- cost --------------------------------------------------------------------------------------------------------------


# Inputs so large that moving the rest of the buffer for each piece of it would take minutes; once read takes seconds.


@pytest.mark.timeout(20)
def test_a_big_pipeline_is_not_moved_for_each_command() -> None:
    count = 120_000
    reader = make_reader()
    reader.feed(b"".join(b"a%d UID FETCH %d (FLAGS)\r\n" % (n, n) for n in range(1, count + 1)))
    assert len(events(reader, [b""])) == count


@pytest.mark.timeout(20)
def test_a_long_line_is_not_moved_for_each_literal() -> None:
    reader = make_reader(Limits(line_octets=1 << 22))
    assert len(events(reader, [b"a1 SEARCH " + b"{0+}\r\n" * 200_000 + b"\r\n"])) == 1


@pytest.mark.timeout(20)
def test_a_line_is_not_searched_anew_for_each_octet() -> None:
    reader = make_reader(Limits(line_octets=1 << 21))
    assert len(events(reader, byte_by_byte(b"a1 LOGIN bob " + b"x" * 700_000 + b"\r\n"))) == 1


# -- whatever comes ----------------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        b"a1 ", b"NOOP", b"LOGIN ", b"APPEND ", b"SEARCH ", b"FETCH ", b"UID ", b"1:* ", b"(", b")", b'"', b"\\", b"[",
        b"]", b"{3}\r\n", b"{3+}\r\n", b"~{2+}\r\n", b"{99+}\r\n", b"\r\n", b"\r", b"\n", b"abc", b" ", b"NOT ", b"OR ",
        b"BODY[HEADER.FIELDS (a)]<0.1>", b"\0", b"\xff", b"UTF8 (", b"STATUS x (MESSAGES)", b"LIST ", b"{", b"}",
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(FRAGMENTS, max_size=30).map(b"".join)), st.booleans())
def test_no_input_raises_and_cutting_changes_nothing(data: bytes, utf8: bool) -> None:
    seen = []
    for cut in CUTS:
        spools = Spools()
        reader = CommandReader(SMALL, spools)
        reader.utf8 = utf8
        seen.append(events(reader, cut(data)))
        reader.discard_input()
        assert all(spool.contents or spool.is_aborted for spool in spools.made)
    assert seen[0] == seen[1]
