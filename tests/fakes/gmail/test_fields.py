"""Partial replies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.gmail.discovery import description
from tests.fakes.gmail.errors import ApiError
from tests.fakes.gmail.fields import parse, select

MESSAGE: dict[str, Any] = {
    "id": "1",
    "threadId": "2",
    "payload": {"mimeType": "text/plain", "headers": [{"name": "A", "value": "b"}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id", {"id": "1"}),
        ("id,threadId", {"id": "1", "threadId": "2"}),
        ("*", MESSAGE),
        ("snippet", {}),
        ("payload/mimeType", {"payload": {"mimeType": "text/plain"}}),
        ("payload(headers(name)),id", {"id": "1", "payload": {"headers": [{"name": "A"}]}}),
        ("payload/headers/value", {"payload": {"headers": [{"value": "b"}]}}),
    ],
)
def test_select(text: str, expected: object) -> None:
    assert select(MESSAGE, parse(text, description("gmail.v1"), "Message")) == expected


@pytest.mark.parametrize("text", ["idd", "payload(", "payload(headers", "id/x", "a b", "id)", "payload/x"])
def test_what_cannot_be_selected_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Invalid field selection"):
        parse(text, description("gmail.v1"), "Message")
