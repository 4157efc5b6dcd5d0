from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.scan import scan
from gateway.message.text import (
    all_header_text,
    body_text,
    decoded_header,
    header_text,
    normalise,
    part_text,
    sent_date,
)
from tests.gateway.message.samples import vector


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" plain\r\n folded", "plain folded"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?ISO-8859-1?B?R3L832U=?= end", "Grüße end"),
        (b"=?utf-8?q?a_b?= =?utf-8?q?c?=", "a bc"),
        (b"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=FC?= x", "aü x"),
        (b"=?utf-8?b?w7w=?=between=?utf-8?q?x?=", "übetweenx"),
        # A character cut in two by the words.
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        (b"=?utf-8*de?q?x?=", "x"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?utf-8?b?w7x?=", "ü"),
        (b"=?utf-8?q??= x", " x"),
        (b"=?x-unknown?q?=FC?=", "ü"),
        (b"=?utf-8?x?no?= =?broken", "=?utf-8?x?no?= =?broken"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
    ],
)
def test_headers_are_decoded(raw: bytes, text: str) -> None:
    assert decoded_header(raw) == text


def test_every_field_of_a_name_is_found() -> None:
    block = b"To: a\r\nSubject: x\r\nto : =?utf-8?q?=C3=BC?=\r\n\r\n"
    assert header_text(block, "TO") == ["a", "ü"]
    assert header_text(block, "Cc") == []
    assert list(all_header_text(block)) == ["To: a", "Subject: x", "to: ü"]


def test_body_text_reaches_every_text_and_inner_header() -> None:
    data = vector("multipart-with-message")
    texts = list(body_text(data, scan(data)))
    assert "see below" in texts
    assert "one" in texts
    assert "two" in texts
    assert "Subject: Inner" in texts
    assert "Content-Description: forwarded" in texts
    assert not any("Vector" in text for text in texts)


def test_body_text_is_decoded() -> None:
    data = b"Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n0NLJ18XU"
    assert list(body_text(data, scan(data))) == ["привет"]


def test_other_kinds_have_no_text() -> None:
    data = b"Content-Type: image/png\r\n\r\nsecret"
    assert list(body_text(data, scan(data))) == []


def test_text_in_an_unknown_encoding_comes_as_it_stands() -> None:
    data = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-what\r\n\r\nHello"
    assert part_text(data, scan(data)) == "Hello"


@pytest.mark.parametrize(
    ("left", "right"), [("ABC", "abc"), ("STRASSE", "straße"), ("É", "e\u0301"), ("Ｆｕｌｌ", "full"), ("Σ", "ς")]
)
def test_texts_that_match_caselessly(left: str, right: str) -> None:
    assert normalise(left) == normalise(right)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b"Mon, 1 Jan 2024 23:59:59 -0800", date(2024, 1, 1)),
        (b"1 Jan 2024 00:00 +0000", date(2024, 1, 1)),
        (b"Mon,  1 Jan\r\n 2024 00:00:00 GMT (comment)", date(2024, 1, 1)),
        (b"Mon (comment), 01 (x) JAN 2024", date(2024, 1, 1)),
        (b"Fri, 21 Nov 97 09:55:06 -0600", date(1997, 11, 21)),
        (b"21 Nov 07 09:55", date(2007, 11, 21)),
        (b"21 Nov 103 09:55", date(2003, 11, 21)),
        (b"01-Feb-2024 10:00:00", date(2024, 2, 1)),
        (b"Wed Feb  7 10:00:00 2024", date(2024, 2, 7)),
        (b"Wed Feb  7 10:00:00 CET 2024", date(2024, 2, 7)),
        (b"31 Feb 2024", None),
        (b"1 Foo 2024", None),
        (b"soon", None),
        (b"", None),
    ],
)
def test_the_sent_date(value: bytes, day: date | None) -> None:
    assert sent_date(b"Subject: x\r\nDate: " + value + b"\r\n\r\n") == day


def test_no_date_field_is_no_date() -> None:
    assert sent_date(b"X-Date: 1 Jan 2024\r\n\r\n") is None


@given(st.lists(st.sampled_from(["e", "\u0301", "\u0323", "ß", "İ", "ﬁ", " ", "\n", "中"]), max_size=20).map("".join))
def test_long_texts_are_normalised_piece_by_piece_as_in_the_whole(unit: str) -> None:
    whole = (unit + "中") * 500
    assert normalise(whole) == unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", whole).casefold())


def test_a_run_of_very_many_marks_is_normalised_in_time() -> None:
    # In one piece it takes minutes, in which no other thread runs.
    assert len(normalise("\u0301\u0323" * 200_000)) == 400_000
