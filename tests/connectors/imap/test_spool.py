"""Messages on disk while they pass."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from connectors.api.errors import Unavailable
from connectors.imap.spool import SpooledContent


async def spooled(data: bytes, piece: int = 70_000) -> SpooledContent:
    content = SpooledContent()
    for start in range(0, len(data), piece):
        await content.write(data[start : start + piece])
    await content.finish()
    return content


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000])
async def test_what_is_written_is_read_as_often_as_wanted(size: int) -> None:
    data = os.urandom(size)
    content = await spooled(data)
    assert content.size == size
    for _ in range(2):
        assert b"".join([chunk async for chunk in content.chunks()]) == data


async def test_two_readers_do_not_disturb_each_other() -> None:
    data = os.urandom(2_000_000)
    content = await spooled(data)

    async def read() -> bytes:
        return b"".join([chunk async for chunk in content.chunks()])

    assert list(await asyncio.gather(read(), read())) == [data, data]


async def test_the_file_goes_with_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_files = len(os.listdir("/proc/self/fd"))
    content = await spooled(b"x")
    assert os.listdir(tmp_path) == []
    del content
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == open_files


async def test_no_room_for_a_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="missing"):
        SpooledContent()
