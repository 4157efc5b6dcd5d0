from __future__ import annotations

import pytest

from gateway.message.quoting import nstring, string


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"", b'""'),
        (b"plain text", b'"plain text"'),
        (b'"quoted" \\', b'"\\"quoted\\" \\\\"'),
        (b"\xc3\xbc", b"{2}\r\n\xc3\xbc"),
        (b"a\rb", b"{3}\r\na\rb"),
        (b"x" * 201, b'"' + b"x" * 201 + b'"'),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_strings(text: bytes, written: bytes) -> None:
    assert string(text) == written
    assert nstring(text) == written


def test_none_is_nil() -> None:
    assert nstring(None) == b"NIL"
