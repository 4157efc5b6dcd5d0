"""What is read off a message's octets, broken ones included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.gmail.content import Content, PartBuilder, find_part, part_data, with_crlf
from tests.fakes.gmail.discovery import description
from tests.fakes.gmail.dispatch import dump
from tests.fakes.gmail.mailbox import Mailbox
from tests.fakes.gmail.options import FakeOptions, SystemClock
from tests.fakes.gmail.search import parse
from tests.fakes.gmail.views import resource


def test_line_ends_become_crlf_and_no_other_octet_changes() -> None:
    assert with_crlf(b"a\nb\r\nc\rd\xff\n") == b"a\r\nb\r\nc\rd\xff\r\n"


def test_fields_are_unfolded_and_decoded() -> None:
    content = Content(b"Subject: =?utf-8?b?w6k=?=\r\n =?utf-8?q?_x?=\r\nNo colon\r\nX: \xff\r\n\r\nbody: no\r\n")
    assert content.fields == [("Subject", "é x"), ("X", "\ufffd")]


@pytest.mark.parametrize(
    "text", [b"", b"\r\n", b"\xff\xfe", b"Content-Type: multipart/mixed\r\n\r\nx", b"Subject: =?x?q?y?="]
)
def test_broken_messages_are_read_as_far_as_they_go(text: bytes) -> None:
    content = Content(text)
    tree = PartBuilder("n").tree(content)
    assert tree["partId"] == ""
    assert isinstance(content.snippet(), str)
    assert content.attachments() == []


pieces = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: text/plain; charset=",
        b"utf-16",
        b"--b\r\n",
        b"--b--",
        b"\r\n",
        b"Content-Disposition: attachment; filename*0*=utf-8''%ff\r\n",
        b"Subject: =?utf-8?b?",
        b"?=",
        b"=?x?q?=ff?=",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\xff\xfe",
        b"Date: Fri, 99 Feb 2026 25:00:00 +9999\r\n",
        b"=",
        b";",
        b'"',
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: message/delivery-status\r\n",
        b"a" * 9,
        b": ",
        b"\r",
        b"\x00",
    ]
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(pieces, st.binary(max_size=4)), max_size=25).map(b"".join))
def test_any_octets_make_a_message_that_fits_the_description(raw: bytes) -> None:
    mailbox = Mailbox("user@example.com", FakeOptions(), SystemClock())
    message = mailbox.add(raw, frozenset({"INBOX"}))
    assert message.content().date() is None or message.content().header("Date")
    parse("-word filename:x has:attachment subject:(a b)", mailbox, SystemClock().now()).matches(message)
    for form in ("minimal", "metadata", "full", "raw"):
        shown = resource(mailbox, message, form)
        assert description("gmail.v1").faults("Message", shown) == []
        dump(shown, True)


@pytest.mark.parametrize(
    ("value", "year"),
    [("Thu, 1 Jan 2015 12:00:00 +0000", 2015), ("1 Jan 2015 12:00:00 -0000", 2015), ("yesterday", None), ("", None)],
)
def test_date(value: str, year: int | None) -> None:
    found = Content(f"Date: {value}\r\n\r\n".encode()).date()
    assert (found.year if found is not None else None) == year


def test_nested_parts_are_numbered_and_found_again() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>two</b>\r\n--b--\r\n"
        b"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--a--\r\n"
    )
    content = Content(raw)
    tree = PartBuilder("n").tree(content)
    inner = tree["parts"][0]["parts"]
    assert [part["partId"] for part in inner] == ["0.0", "0.1"]
    assert tree["parts"][1]["mimeType"] == "message/rfc822"
    part = find_part(content.mime, tree["parts"][1]["body"]["attachmentId"])
    assert part is not None
    assert b"inner" in part_data(part)
    for wrong in ("7_n", "0.0.0_n", "x_n"):
        assert find_part(content.mime, wrong) is None
