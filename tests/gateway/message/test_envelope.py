from __future__ import annotations

import pytest

from gateway.message.envelope import render_envelope
from gateway.message.limits import MAX_ADDRESSES
from tests.gateway.message.grammar import read_envelope

NIL = b"NIL"


def _one(header: bytes, index: int) -> object:
    return read_envelope(render_envelope(header))[index]


def test_the_example_of_the_rfc() -> None:
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
        b"To: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n"
    )
    gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
    assert render_envelope(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" '
        + b" ".join([gray] * 3)
        + b' ((NIL NIL "imap" "cac.washington.edu"))'
        b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
        b' NIL NIL "<B27397-0100000@cac.washington.ed>")'
    )


def test_nothing_is_nil() -> None:
    assert render_envelope(b"") == b"(" + b" ".join([NIL] * 10) + b")"


def test_sender_and_reply_to_are_from_where_they_name_nobody() -> None:
    header = b"From: a@example.com\r\nSender:\r\nReply-To: ()\r\n\r\n"
    envelope = read_envelope(render_envelope(header))
    assert envelope[2] == envelope[3] == envelope[4] == [[None, None, b"a", b"example.com"]]


def test_an_empty_list_is_nil() -> None:
    assert _one(b"To: ,\r\n\r\n", 5) is None


def test_the_last_text_counts_and_address_fields_are_joined() -> None:
    header = b"Subject: 1\r\nSubject: 2\r\nTo: a@x\r\nTO : b@y\r\n\r\n"
    assert _one(header, 1) == b"2"
    assert _one(header, 5) == [[None, None, b"a", b"x"], [None, None, b"b", b"y"]]


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"Subject:\r\n\r\n", b'""'),
        (b'Subject: "a" \\\r\n\r\n', b'"\\"a\\" \\\\"'),
        (b"Subject: one\r\n two\r\n\r\n", b'"one two"'),
        (b"Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n\r\n", b'"=?utf-8?q?a?= =?utf-8?q?b?="'),
        (b"Subject: \xfc\r\n\r\n", b"{1}\r\n\xfc"),
        (b"Subject: a\0b\r\n\r\n", b"{5}\r\na\xef\xbf\xbdb"),
        (b"Subject: a\rb\r\n\r\n", b'"a b"'),
        (b"X-Subject: no\r\nSubjects: no\r\n\r\n", b"NIL"),
        (b"X: y\r\n Subject: no\r\n\r\n", b"NIL"),
    ],
)
def test_text(header: bytes, subject: bytes) -> None:
    assert render_envelope(header) == b"(NIL " + subject + b" NIL" * 8 + b")"


def test_a_message_id_stays_as_it_is() -> None:
    assert _one(b'Message-ID: <"a b"@[x]> (c)\r\n\r\n', 9) == b'<"a b"@[x]> (c)'


def test_addresses_are_bounded_over_all_fields_of_a_name() -> None:
    header = (b"To: " + b"a@b, " * 6_000 + b"c@d\r\n") * 3 + b"\r\n"
    addresses = read_envelope(render_envelope(header))[5]
    assert len(addresses) == MAX_ADDRESSES
