"""Words in messages."""

from __future__ import annotations

import pytest

from connectors.api.abilities import TextQuery
from connectors.api.errors import Rejected
from connectors.memory.search import header, matches, matches_native

LATIN = b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9\r\n"
CODED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJjIMOkw7bDvA==\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("data", "query", "is_match"),
    [
        (LATIN, TextQuery(("GRÜSSE",)), True),
        (LATIN, TextQuery(("grüße",), body_only=True), False),
        (LATIN, TextQuery(("Café",), body_only=True), True),
        (LATIN, TextQuery(("café", "grüße")), True),
        (LATIN, TextQuery(("café", "tea")), False),
        (CODED, TextQuery(("äöü",)), True),
        (CODED, TextQuery(("secret",)), False),
        (b"Content-Type: text/plain; charset=nonsense\r\n\r\nword", TextQuery(("word",)), True),
        (b"Subject: =?nonsense?q?x?=\r\n\r\n", TextQuery(("nonsense",)), True),
        (b"\xff\xfe\x00", TextQuery(("x",)), False),
        (b"", TextQuery(()), True),
    ],
)
def test_every_term_is_looked_for_in_decoded_text(data: bytes, query: TextQuery, is_match: bool) -> None:
    assert matches(data, query) is is_match


PLAIN = b"From: Alex <alex@example.org>\r\nSubject: Trip to Rome\r\n\r\nTickets\r\n"


@pytest.mark.parametrize(
    ("query", "is_match"),
    [
        ("tickets rome", True),
        ("tickets paris", False),
        ("-paris", True),
        ("from:alex subject:ROME", True),
        ("to:alex", False),
        ("is:unread", False),
        ("is:read -is:starred", True),
        ('"tickets"', True),
        ("", True),
    ],
)
def test_queries_are_like_gmails(query: str, is_match: bool) -> None:
    assert matches_native(PLAIN, frozenset({"\\Seen"}), query) is is_match


def test_a_state_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Rejected):
        matches_native(PLAIN, frozenset(), "is:nonsense")


def test_a_field_that_is_not_there_is_empty() -> None:
    assert (header(PLAIN, "subject"), header(PLAIN, "To")) == ("Trip to Rome", "")
