from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.line_buffer import TAIL_OCTETS, LineBuffer, LineTooLong


def lines_of(pieces: list[bytes], limit: int) -> list[bytes | LineTooLong]:
    buffer = LineBuffer()
    lines: list[bytes | LineTooLong] = []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.take_line(limit)) is not None:
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("fed", "line"),
    [
        (b"a\r\n", b"a"),
        (b"a\n", b"a"),
        (b"\r\n", b""),
        (b"\n", b""),
        (b"a\rb\r\n", b"a\rb"),
        (b"123456789\r\n", b"123456789"),
        (b"1234567890\r\n", LineTooLong(b"123456789", b"1234567890")),
    ],
)
def test_lines_end_alike_however_they_are_cut(fed: bytes, line: bytes | LineTooLong) -> None:
    assert lines_of([fed], 9) == [line]
    assert lines_of([fed[at : at + 1] for at in range(len(fed))], 9) == [line]


@given(st.lists(st.binary(max_size=50).filter(lambda text: b"\n" not in text)), st.lists(st.integers(1, 60)))
def test_what_was_fed_comes_out_in_order(texts: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(text + b"\r\n" for text in texts)
    pieces, start = [], 0
    for size in sizes:
        pieces.append(whole[start : start + size])
        start += size
    assert lines_of([*pieces, whole[start:]], 50) == texts


def test_no_more_is_kept_of_a_long_line_than_its_ends() -> None:
    buffer = LineBuffer()
    for _ in range(100):
        buffer.feed(b"x" * 1000)
        assert buffer.take_line(500) is None
        assert len(buffer) <= TAIL_OCTETS
    buffer.feed(b"{5+}\r\nnext\r\n")
    assert buffer.take_line(500) == LineTooLong(b"x" * 256, b"x" * (TAIL_OCTETS - 4) + b"{5+}")
    assert buffer.take_line(500) == b"next"


def test_octets_are_taken_and_dropped_between_lines() -> None:
    buffer = LineBuffer()
    buffer.feed(b"a\r\nliteral and more\r\nb\r\n")
    assert buffer.take_line(9) == b"a"
    assert buffer.take(8) == b"literal "
    buffer.drop(4)
    assert buffer.take_line(9) == b"more"
    assert buffer.take(99) == b"b\r\n"
    assert len(buffer) == 0
    assert buffer.take_line(9) is None


def test_nothing_is_left_when_it_is_cleared() -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * 100)
    assert buffer.take_line(9) is None
    buffer.clear()
    buffer.feed(b"a\r\n")
    assert buffer.take_line(9) == b"a"
