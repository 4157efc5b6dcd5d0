from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import Unavailable
from connectors.transport.pieces import PieceReader

OCTETS = bytes(range(100))


class Chunked:
    """Content in chunks of seven octets; `begun` counts how often reading began, `ended` how often it ended."""

    def __init__(self, size: int = len(OCTETS)) -> None:
        self.size = size
        self.begun = 0
        self.ended = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        self.begun += 1
        try:
            for start in range(0, len(OCTETS), 7):
                yield OCTETS[start : start + 7]
        finally:
            self.ended += 1


async def test_pieces_follow_one_another_in_one_reading() -> None:
    content = Chunked()
    reader = PieceReader(content)
    assert [await reader.read(start, 30) for start in (0, 30, 60, 90)] == [
        OCTETS[:30],
        OCTETS[30:60],
        OCTETS[60:90],
        OCTETS[90:],
    ]
    assert content.begun == 1


async def test_an_earlier_place_is_read_anew_and_a_later_one_is_skipped_to() -> None:
    content = Chunked()
    reader = PieceReader(content)
    assert await reader.read(50, 10) == OCTETS[50:60]
    assert await reader.read(20, 10) == OCTETS[20:30]
    assert (content.begun, content.ended) == (2, 1)
    await reader.close()
    assert content.ended == 2


async def test_content_that_is_shorter_than_it_said_is_told() -> None:
    reader = PieceReader(Chunked(size=200))
    assert await reader.read(0, 50) == OCTETS[:50]
    with pytest.raises(Unavailable, match="another length"):
        await reader.read(50, 100)
