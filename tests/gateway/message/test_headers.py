from __future__ import annotations

import pytest

from gateway.message.headers import header_block, header_end, iter_fields, select_fields, split_block, unfold

BLOCK = b"From: a@example.com\r\nSubject: one\r\n\ttwo\r\nno colon\r\nX-One : 1\r\nsubject: again\r\n\r\n"


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (b"", b""),
        (b"\r\n", b"\r\n"),
        (b"\nbody", b"\n"),
        (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\r\n\r\n"),
        (b"A: b\n\nbody", b"A: b\n\n"),
        (b"A: b\r\n\nbody", b"A: b\r\n\n"),
        (b"A: b\n\r\nbody", b"A: b\n\r\n"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"A: b", b"A: b"),
        (b"A: b\r\n \r\n c\r\n\r\nbody", b"A: b\r\n \r\n c\r\n\r\n"),
        (b"A: b\r\n\r\r\nbody", b"A: b\r\n\r\r\nbody"),
    ],
)
def test_the_header_ends_with_its_empty_line(message: bytes, header: bytes) -> None:
    assert header_block(message) == header
    assert header_block(memoryview(message)) == header


def test_the_header_end_respects_its_limits() -> None:
    data = b"A: b\r\n\r\nC: d\r\n\r\n"
    assert header_end(data, 8, len(data)) == len(data)
    assert header_end(data, 0, 7) == 7


def test_fields_come_with_folds_and_without_what_is_no_field() -> None:
    assert list(iter_fields(BLOCK)) == [
        (b"From", b" a@example.com"),
        (b"Subject", b" one\r\n\ttwo"),
        (b"X-One", b" 1"),
        (b"subject", b" again"),
    ]


def test_chosen_fields_keep_their_order_and_folds() -> None:
    expected = b"Subject: one\r\n\ttwo\r\nsubject: again\r\n\r\n"
    assert select_fields(BLOCK, [b"SUBJECT", b"missing"], False) == expected
    assert select_fields(BLOCK, [b"subject", b"FROM"], True) == b"no colon\r\nX-One : 1\r\n\r\n"


def test_no_field_chosen_leaves_the_empty_line() -> None:
    assert select_fields(BLOCK, [b"to"], False) == b"\r\n"
    assert select_fields(b"A: b\n\n", [b"to"], False) == b"\n"


def test_a_header_without_empty_line_gets_none() -> None:
    assert select_fields(b"A: b\r\nC: d", [b"c"], False) == b"C: d"
    assert select_fields(b"A: b\r\n", [b"c"], False) == b""


def test_the_two_forms_divide_the_header() -> None:
    fields, close = split_block(BLOCK)
    chosen = select_fields(BLOCK, [b"from"], False).removesuffix(close)
    others = select_fields(BLOCK, [b"from"], True).removesuffix(close)
    assert chosen + others == fields


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" plain ", b"plain"),
        (b" one\r\n two", b"one two"),
        (b" one\n\ttwo", b"one\ttwo"),
        (b"\r\n  folded first", b"folded first"),
        (b" bare\rreturn\r", b"bare return"),
        (b" nul\0", b"nul\xef\xbf\xbd"),
    ],
)
def test_unfolding_takes_line_ends_away(raw: bytes, value: bytes) -> None:
    assert unfold(raw) == value
