"""What a store makes of a message is known again, and no other message is taken for it."""

from __future__ import annotations

import pytest

from gateway.message.likeness import (
    ADDED_OCTETS,
    MAX_HEADER_OCTETS,
    MAX_MARKS,
    Likeness,
    Portrait,
    likeness_of,
)

DRAFT = b"Subject: to do\r\nTo: a@example.org,\r\n b@example.org\r\nX-Priority: 1\r\n\r\nOne\r\n\r\nTwo\r\n"
ADDED = b"MIME-Version: 1.0\r\nDate: Fri, 17 May 2019 08:30:15 +0000\r\nMessage-ID: <CA1@mail.example>\r\n"
WHOLE = ADDED + DRAFT


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (DRAFT, DRAFT),
        (DRAFT, WHOLE),
        (DRAFT, b"Received: by mail\r\nX-Trace: 1\r\n" + WHOLE),
        (WHOLE, b"Received: by mail\r\n" + WHOLE),
        (DRAFT.replace(b"\r\n", b"\n"), WHOLE),
        (DRAFT.replace(b"\r\n", b"\r"), DRAFT),
        (DRAFT, DRAFT.replace(b"\r\n b", b" b")),
        (DRAFT, DRAFT + b"\r\n"),
        (DRAFT + b"\r", DRAFT),
        (DRAFT.removesuffix(b"\r\n"), DRAFT),
        (b"Subject: x", b"Subject: x\r\n\r\n"),
        (b"\r\ntext\r\n", ADDED + b"\r\ntext\r\n"),
    ],
)
def test_what_a_store_makes_of_a_message_is_that_message(sent: bytes, stored: bytes) -> None:
    assert likeness_of(sent).became(likeness_of(stored))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        # Another text, or one that has less or more lines in it.
        (DRAFT, DRAFT.replace(b"One", b"Ono")),
        (DRAFT, DRAFT.replace(b"One\r\n", b"One\r\n\r\n")),
        (DRAFT, DRAFT + b"Three\r\n"),
        # A field that nobody but its writer adds, alters or takes off.
        (DRAFT, b"Cc: c@example.org\r\n" + DRAFT),
        (DRAFT, DRAFT.replace(b"to do", b"to do not")),
        (DRAFT, DRAFT.replace(b"Subject: to do\r\n", b"")),
        (DRAFT, DRAFT.replace(b"X-Priority: 1\r\n", b"")),
        (DRAFT, DRAFT.replace(b"X-Priority: 1", b"X-Priority: 5")),
        # Of what is there already there is not another one, or a second.
        (WHOLE, WHOLE.replace(b"CA1@", b"CA2@")),
        (WHOLE, DRAFT),
        (WHOLE, b"Message-ID: <CA2@mail.example>\r\n" + WHOLE),
        (b"From: a@example.org\r\n" + DRAFT, b"From: b@example.org\r\n" + DRAFT),
        # Lines that are no field.
        (b"one text", b"another text"),
        (b"one text", b""),
        (b"text\r\n", b"\r\ntext\r\n"),
    ],
)
def test_another_message_is_not(sent: bytes, stored: bytes) -> None:
    assert not likeness_of(sent).became(likeness_of(stored))


@pytest.mark.parametrize("data", [DRAFT, WHOLE.replace(b"\r\n", b"\n"), b"\r\r\n\n\r\r", b"", b"\n\n\nx\n\n\n\ny\n\n"])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_it_does_not_matter_in_which_pieces_a_message_comes(data: bytes, length: int) -> None:
    portrait = Portrait()
    for at in range(0, len(data), length):
        portrait.feed(data[at : at + length])
    assert portrait.finish() == likeness_of(data)


@pytest.mark.parametrize(
    "header", [b"Subject: " + b"x" * MAX_HEADER_OCTETS + b"\r\n", b"X-Y: z\r\n" * (MAX_MARKS + 1)], ids=["long", "many"]
)
def test_of_a_message_with_a_huge_header_only_the_octets_are_compared(header: bytes) -> None:
    message = likeness_of(header + b"\r\ntext\r\n")
    assert message.became(likeness_of(header + b"\r\ntext\r\n"))
    assert not message.became(likeness_of(header + b"\r\ntext\r\n\r\n"))


@pytest.mark.parametrize("data", [DRAFT, b"X-Y: z\r\n" * (MAX_MARKS + 1)])
def test_a_likeness_can_be_kept(data: bytes) -> None:
    made = likeness_of(data)
    assert Likeness.decode(made.digest, made.encode()).became(likeness_of(data))
    kept = Likeness.decode(made.digest, made.encode())
    assert kept.became(likeness_of(ADDED + data)) is made.became(likeness_of(ADDED + data))


@pytest.mark.parametrize("encoded", [None, {}, {"essence": None, "marks": [], "slack": 1}])
def test_without_what_was_kept_only_the_octets_are_compared(encoded: object) -> None:
    kept = Likeness.decode(likeness_of(DRAFT).digest, encoded)
    assert kept.became(likeness_of(DRAFT))
    assert not kept.became(likeness_of(WHOLE))


def test_sizes_differ_by_line_ends_and_what_is_added() -> None:
    assert likeness_of(b"a: b\n\nc\n").possible_sizes(8) == range(8 + 3 + ADDED_OCTETS + 1)
    assert Likeness(b"").possible_sizes(8) == range(8, 9)
