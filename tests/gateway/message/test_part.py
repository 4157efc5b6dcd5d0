from __future__ import annotations

import pytest

from gateway.message.scan import scan
from tests.gateway.message.samples import vector


@pytest.mark.parametrize(
    ("name", "numbers", "kind"),
    [
        ("header-only", (1,), b"text"),
        ("header-only", (2,), None),
        ("header-only", (1, 1), None),
        ("header-only", (0,), None),
        ("multipart-plain", (1,), b"text"),
        ("multipart-plain", (3,), None),
        ("multipart-plain", (1, 1), None),
        ("multipart-nested", (1,), b"multipart"),
        ("multipart-nested", (1, 2), b"text"),
        ("multipart-nested", (1, 2, 1), None),
        ("message-alone", (1,), b"message"),
        ("message-alone", (1, 1), b"text"),
        ("message-in-message", (1, 1, 1), b"text"),
        ("message-in-message", (1, 1, 1, 1), None),
        ("multipart-with-message", (2,), b"message"),
        ("multipart-with-message", (2, 2), b"text"),
        ("multipart-with-message", (2, 3), None),
    ],
)
def test_section_numbers_name_parts(name: str, numbers: tuple[int, ...], kind: bytes | None) -> None:
    part = scan(vector(name)).child(numbers)
    assert (part.type if part else None) == kind


def test_parameters_are_found_whatever_their_case() -> None:
    part = scan(b"Content-Type: text/plain; CHARSET=a; charset=b\r\n\r\n")
    assert part.parameter(b"charset") == b"a"
    assert part.parameter(b"name") is None
