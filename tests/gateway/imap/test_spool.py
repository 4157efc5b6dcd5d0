from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.spool import CHUNK, AppendSpool, SpooledContent


def spooled(data: bytes, directory: Path, memory: int = 1000) -> SpooledContent:
    spool = AppendSpool(memory, str(directory))
    for start in range(0, len(data), 700):
        spool.write(data[start : start + 700])
    return spool.next_content()


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, CHUNK, 2 * CHUNK + 1])
async def test_what_was_written_is_read_back_any_number_of_times(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    content = spooled(data, tmp_path)
    assert content.size == size
    for _ in range(2):
        assert b"".join([chunk async for chunk in content.chunks()]) == data
    content.close()


async def test_two_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    data = b"a" * CHUNK + b"b" * CHUNK
    content = spooled(data, tmp_path)
    first, second = content.chunks(), content.chunks()
    pieces = [await anext(first), await anext(second), await anext(first), await anext(second)]
    assert pieces == [b"a" * CHUNK, b"a" * CHUNK, b"b" * CHUNK, b"b" * CHUNK]
    content.close()


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    content = spooled(b"x" * 5000, tmp_path)
    assert list(tmp_path.iterdir()) == []
    content.close()
    content.close()


def test_an_aborted_upload_is_forgotten(tmp_path: Path) -> None:
    spool = AppendSpool(10, str(tmp_path))
    spool.write(b"x" * 100)
    spool.abort()
    assert list(tmp_path.iterdir()) == []


async def test_messages_of_one_command_lie_one_behind_the_other(tmp_path: Path) -> None:
    spool = AppendSpool(10, str(tmp_path))
    contents = []
    for data in (b"first", b"", b"second" * 10):
        spool.write(data)
        contents.append(spool.next_content())
    assert [content.size for content in contents] == [5, 0, 60]
    contents[0].close()
    contents[0].close()
    contents[1].close()
    # The last one holds the file.
    assert b"".join([chunk async for chunk in contents[2].chunks()]) == b"second" * 10
    contents[2].close()
    with pytest.raises(ValueError, match="closed"):
        [chunk async for chunk in contents[2].chunks()]
