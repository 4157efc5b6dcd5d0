"""The fields that mail is listed by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.headers import field_selector, header_block
from gateway.message.usual_fields import USUAL_FIELDS, are_usual, usual_block

_PIECES = [
    b"Subject: a\r\n",
    b"SUBJECT : b\r\n c\r\n",
    b"From:a@example.com\n",
    b"Received: by x\r\n\tfor y\r\n",
    b"Subjects: no\r\n",
    b"X-Subject: no\r\n",
    b"message-id: <1@example.com>\r\n",
    b"no field\r\n",
    b" Subject: folded\r\n",
    b"Subject",
    b": v\r\n",
    b"\0",
    b"\xff",
    b"\r",
    b"\n",
    b"\r\n",
]


@given(
    st.lists(st.sampled_from(_PIECES), max_size=14),
    st.sampled_from([b"", b"\n", b"\r\n", b"\n\r\n"]),
    st.lists(st.sampled_from([b"subject", b"From", b"MESSAGE-ID", b"Cc"]), max_size=4),
)
def test_usual_fields_are_the_same_chosen_from_them_alone(pieces: list[bytes], end: bytes, names: list[bytes]) -> None:
    block = header_block(b"".join(pieces) + end)
    select = field_selector(names, is_exclude=False)
    assert select(usual_block(block)) == select(block)
    assert usual_block(usual_block(block)) == usual_block(block)


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        ([b"Subject", b"FROM", b"x-priority"], True),
        ([], True),
        ([b"Subject", b"Received"], False),
        ([b"Subject "], False),
        ([b""], False),
    ],
)
def test_names_are_usual_whatever_their_case(names: list[bytes], answer: bool) -> None:
    assert are_usual(names) is answer


def test_what_clients_ask_for_to_list_mail_is_usual() -> None:
    thunderbird = b"From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To"
    assert are_usual([*thunderbird.split(), b"Content-Type", b"Reply-To"])
    assert all(name == name.lower() for name in USUAL_FIELDS)
