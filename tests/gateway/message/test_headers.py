from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.headers import (
    field_selector,
    header_block,
    header_end,
    iter_fields,
    select_fields,
    split_block,
    unfold,
)

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


_PIECES = [
    b"A",
    b"a",
    b"Ab",
    b"A-b",
    b"\x7f",
    b"\xe4",
    b"x",
    b":",
    b" ",
    b"\t",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"A: v\r\n",
]
_NAMES = st.lists(
    st.sampled_from([b"a", b"A", b"ab", b"A-B", b"x", b"", b"a:", b"\x7f", b"\xe4", b"[", b"a."]), max_size=4
)


@given(
    st.lists(st.sampled_from(_PIECES), max_size=14),
    st.sampled_from([b"", b"\n", b"\r\n", b"\n\r\n"]),
    _NAMES,
    st.booleans(),
)
def test_a_selector_chooses_what_select_fields_does(
    pieces: list[bytes], end: bytes, names: list[bytes], is_exclude: bool
) -> None:
    block = header_block(b"".join(pieces) + end)
    assert field_selector(names, is_exclude)(block) == select_fields(block, names, is_exclude)


def test_a_selector_takes_any_number_of_names() -> None:
    names = [b"x-%d" % number for number in range(2000)]
    block = b"X-1999: a\r\nX-2000: b\r\nx-7 : c\r\n d\r\n\r\n"
    assert field_selector(names, is_exclude=False)(block) == b"X-1999: a\r\nx-7 : c\r\n d\r\n\r\n"
