from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from gateway.message.scan import scan
from gateway.message.text import all_header_text, body_text, header_text, normalise
from gateway.message.text_index import FIELDS, body_texts, can_be_looked_up, day_number, header_texts
from tests.gateway.message.samples import vectors

needles = st.text(st.sampled_from("aeß é:ﬁ\x1f\0\u0301İ\ud800\nt"), min_size=1, max_size=4)
values = st.lists(
    st.tuples(
        st.sampled_from(["Subject", "from", "To", "X-Odd", "Öl", "date"]),
        st.text(st.sampled_from("aeß é:ﬁ\x1f\0\u0301İ\nt"), max_size=8),
    ),
    max_size=4,
)


@given(values, needles)
def test_a_needle_is_in_the_joined_header_if_it_is_in_a_field(fields: list[tuple[str, str]], needle: str) -> None:
    lines = [f"{name}: {value.replace(chr(10), '')}\r\n".encode("utf-8", "replace") for name, value in fields]
    block = b"".join(lines) + b"\r\n"
    wanted = normalise(needle)
    if not can_be_looked_up(wanted):
        return
    texts = header_texts(block)
    assert (wanted in texts.whole) == any(wanted in normalise(text) for text in all_header_text(block))
    for name, found in zip(FIELDS, texts.fields, strict=True):
        there = header_text(block, name)
        assert (found is not None) == bool(there)
        assert (found is not None and wanted in found) == any(wanted in normalise(value) for value in there)


def test_texts_that_stand_apart_are_not_found_across_their_border() -> None:
    texts = header_texts(b"Subject: one\r\nSubject: two\r\n\r\n")
    assert texts.fields[0] is not None
    assert "one" in texts.fields[0]
    assert "onetwo" not in texts.fields[0]
    assert header_texts(b"\r\n").fields == (None,) * len(FIELDS)
    assert header_texts(b"Subject:\r\n\r\n").fields[0] == ""


def test_the_day_is_that_of_the_date_field() -> None:
    texts = header_texts(b"Date: Mon, 1 Jan 2024 23:30:00 -0500\r\n\r\n")
    assert texts.sent_day == day_number(date(2024, 1, 1))
    assert header_texts(b"Date: once\r\n\r\n").sent_day is None


def test_what_a_database_cannot_hold_is_in_no_text() -> None:
    data = b"Content-Type: text/plain; charset=utf-7\r\nSubject: a\0b\r\n\r\n+2AA- a\0b"
    part = scan(data)
    for text in (header_texts(data[: part.body_start]).whole, body_texts(data, part)):
        assert "\0" not in text
        text.encode()


def test_bodies_hold_what_search_looks_at() -> None:
    for data in vectors().values():
        part = scan(data)
        whole = body_texts(data, part)
        for piece in body_text(data, part):
            for word in normalise(piece).split()[:50]:
                assert not can_be_looked_up(word) or word in whole
