from __future__ import annotations

import pytest

from connectors.transport.redaction import EXCERPT_CHARS, excerpt


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"label name invalid\r\n", "label name invalid"),
        (b"you sent Authorization: Bearer abc.def-ghi here", "you sent Authorization: *** *** here"),
        (b"got Basic am86eA==, wanted more", "got Basic ***, wanted more"),
        (b'{"access_token": "abc", "code": 400}', '{"access_token": ***, "code": 400}'),
        (b"see https://example.com/a?code=abc&x=y for more", "see https://example.com/a?*** for more"),
        (b"what? a=b", "what? a=b"),
        (b"id " + b"A1b2" * 20 + b" bad", "id *** bad"),
        (b"a\x00b\x1b[31mc\n\n\td", "a b [31mc d"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_secrets_and_controls_are_taken_out(body: bytes, text: str) -> None:
    assert excerpt(body) == text


def test_the_secrets_that_were_sent_are_taken_out_wherever_they_stand() -> None:
    assert excerpt(b"xhunter2x and hunter2", ["hunter2", ""]) == "x***x and ***"


def test_an_excerpt_is_short() -> None:
    text = excerpt(b"word " * 100_000)
    assert len(text) == EXCERPT_CHARS + 3
    assert text.endswith("...")


def test_a_secret_at_the_border_of_what_is_read_is_not_shown_in_part() -> None:
    secret = "s3cr3t" * 5
    for shift in range(40):
        body = b"w " * (4 * EXCERPT_CHARS - 20) + b"x" * shift + secret.encode()
        assert "s3cr3t" not in excerpt(body, [secret])
