from __future__ import annotations

import pytest

from gateway.imap.catenation import bad_url_code


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/a;UID=1", b"BADURL /a;UID=1"),
        ('/"b" c', b'BADURL /"b" c'),
        # RFC 4469 section 5: url-resp-text is at least one character, and none that would end the code.
        ("/a]\r\n* BYE", b"BADURL /a* BYE"),
        ("", None),
        ("]\\\0", None),
    ],
)
def test_the_code_names_the_url_as_far_as_it_can_be_said(url: str, code: bytes | None) -> None:
    assert bad_url_code(url) == code
