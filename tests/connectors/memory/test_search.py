"""Words in messages."""

from __future__ import annotations

import pytest

from connectors.api.abilities import TextQuery
from connectors.memory.search import matches

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
