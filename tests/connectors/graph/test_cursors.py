"""What is kept of a position."""

from __future__ import annotations

import pytest

from connectors.api.errors import CursorExpired
from connectors.api.types import Cursor
from connectors.graph.cursors import Mark, decode_cursor


def test_a_cursor_gives_back_its_mark() -> None:
    mark = Mark("https://g/v1.0/me", "https://g/v1.0/me/x?$deltatoken=1", 5, 7, 1.5, 2.5)

    assert decode_cursor(mark.encode(), "https://g/v1.0/me") == mark


@pytest.mark.parametrize("text", ["", "{}", "[]", "17", '{"root":1}', '{"root":"https://g","version":99}'])
def test_what_is_no_cursor_of_ours_has_expired(text: str) -> None:
    with pytest.raises(CursorExpired):
        decode_cursor(Cursor(text), "https://g")


def test_a_cursor_of_another_mailbox_has_expired() -> None:
    with pytest.raises(CursorExpired):
        decode_cursor(Mark("https://g/v1.0/users/a").encode(), "https://g/v1.0/users/b")
