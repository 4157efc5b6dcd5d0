from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.sort_keys import MAX_KEY_CHARACTERS, MAX_REFERENCES, sort_keys


def moment(*numbers: int) -> int:
    return int(datetime(*numbers, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


def test_keys_of_a_reply() -> None:
    keys = sort_keys(
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n"
        b"From: =?utf-8?q?J=C3=9Frg?= Miller <Joe.Miller@Example.COM>\r\n"
        b"To: undisclosed: alice@example.org, bob@example.org;\r\n"
        b"Cc: (nobody) Carol@example.org\r\n"
        b"Subject: Re: [list] =?utf-8?b?R3LDvMOfZQ==?=\r\n"
        b'Message-ID: <"quo\\ted"@host>\r\n'
        b"References: <a@b> <c @ d>\r\n <e@f>, <a@b>\r\n"
        b"In-Reply-To: <x@y>\r\n\r\n"
    )
    assert keys.sent == moment(1994, 2, 8, 5, 52, 25)
    assert keys.subject == "gru\u0308sse"
    assert keys.is_reply
    assert keys.sender == "joe.miller"
    assert keys.shown_sender == "jssrg miller"
    assert keys.recipient == "undisclosed"
    assert keys.copied == "carol"
    assert keys.message_id == "quoted@host"
    assert keys.references == ("a@b", "c@d", "e@f")


def test_without_references_the_first_id_of_in_reply_to_is_the_parent() -> None:
    keys = sort_keys(b"References: nonsense\r\nIn-Reply-To: your mail of <a@b> from <c@d>\r\n\r\n")
    assert keys.references == ("a@b",)


def test_an_empty_header_has_empty_keys() -> None:
    keys = sort_keys(b"\r\n")
    assert keys.sent is None
    assert (keys.subject, keys.sender, keys.message_id, keys.references) == ("", "", "", ())
    assert not keys.is_reply


@pytest.mark.parametrize(
    ("date", "sent"),
    [
        ("7 Feb 1994 21:52:25 GMT", moment(1994, 2, 7, 21, 52, 25)),
        ("7 Feb 1994 21:52 EST", moment(1994, 2, 8, 2, 52)),
        ("7 Feb 94 21:52:25 +9999", moment(1994, 2, 7, 21, 52, 25)),
        ("7 Feb 1994 25:52:25 +0100", moment(1994, 2, 7)),
        ("7 Feb 1994", moment(1994, 2, 7)),
        ("Mon Feb  7 21:52:25 1994", moment(1994, 2, 7, 21, 52, 25)),
        ("yesterday", None),
    ],
)
def test_dates_that_are_odd(date: str, sent: int | None) -> None:
    assert sort_keys(f"Date: {date}\r\n\r\n".encode()).sent == sent


def test_what_is_shown_without_a_name_is_the_address() -> None:
    assert sort_keys(b"From: <Joe@Example.org>\r\n\r\n").shown_sender == "joe@example.org"


def test_keys_are_bounded() -> None:
    references = b" ".join(b"<%d@x>" % number for number in range(1000))
    keys = sort_keys(b"Subject: " + b"x" * 5000 + b"\r\nReferences: " + references + b"\r\n\r\n")
    assert len(keys.subject) == MAX_KEY_CHARACTERS
    assert len(keys.references) == MAX_REFERENCES
    assert (keys.references[0], keys.references[-1]) == ("0@x", "999@x")


@given(st.binary(max_size=300))
def test_no_header_raises(block: bytes) -> None:
    for prefix in (b"", b"Date: ", b"From: ", b"References: <", b"Subject: =?"):
        keys = sort_keys(prefix + block)
        "".join((keys.subject, keys.sender, keys.shown_sender, *keys.references)).encode("utf-8")
