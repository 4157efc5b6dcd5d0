"""Positions as cursors."""

import pytest

from connectors.api.errors import CursorExpired
from connectors.api.types import Cursor
from connectors.imap.cursor import Position


@pytest.mark.parametrize("position", [Position(1, 2, 3), Position(1, 2, 3, 2**63 - 1, 0)])
def test_a_position_survives_as_a_cursor(position: Position) -> None:
    assert Position.decode(position.encode()) == position


@pytest.mark.parametrize("cursor", ["", "7", "null", "[]", "{}", '{"uidvalidity":"x","uidnext":1,"messages":1}'])
def test_a_foreign_cursor_has_expired(cursor: str) -> None:
    with pytest.raises(CursorExpired):
        Position.decode(Cursor(cursor))
