"""Content of unknown length."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from connectors.api.errors import Unavailable
from connectors.api.types import BytesContent
from connectors.graph.spool import IN_MEMORY_OCTETS, FileContent, spool


async def pieces(*data: bytes) -> AsyncGenerator[bytes, None]:
    for each in data:
        yield each


async def test_what_is_short_stays_in_memory() -> None:
    assert await spool(pieces(b"ab", b"", b"cd")) == BytesContent(b"abcd")


async def test_what_is_long_is_read_back_from_a_file_as_often_as_wanted() -> None:
    data = [bytes([number]) * 400_000 for number in range(6)]

    content = await spool(pieces(*data))

    assert isinstance(content, FileContent)
    assert content.size == 2_400_000 > IN_MEMORY_OCTETS
    for _ in range(2):
        assert b"".join([chunk async for chunk in content.chunks()]) == b"".join(data)


async def test_what_reading_raises_is_raised() -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"x" * (IN_MEMORY_OCTETS + 1)
        raise Unavailable("cut off")

    with pytest.raises(Unavailable, match="cut off"):
        await spool(broken())


async def test_a_disk_that_takes_no_file_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> tuple[int, str]:
        raise OSError("no space")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(Unavailable, match="no space"):
        await spool(pieces(b"x" * (IN_MEMORY_OCTETS + 1)))
