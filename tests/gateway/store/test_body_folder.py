"""A folder of message bodies without a bound; what it has in common with the cache is in `test_body_cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.body_file import BodyDamaged, BodyKey
from gateway.store.body_folder import BodyFolder


def put(folder: BodyFolder, message_id: int, data: bytes) -> None:
    writer = folder.writer(1, message_id)
    writer.write(data)
    writer.commit()


def test_nothing_is_pushed_out(tmp_path: Path) -> None:
    folder = BodyFolder(tmp_path)
    for number in range(50):
        put(folder, number, b"x" * 1000)
    again = BodyFolder(tmp_path)
    again.load()
    assert (len(again), again.octets) == (50, folder.octets)


def test_a_file_that_was_cut_is_told_of_and_removed(tmp_path: Path) -> None:
    folder = BodyFolder(tmp_path)
    put(folder, 1, b"x" * 1000)
    (file,) = tmp_path.rglob("1-0")
    body = folder.open(1, 1)
    assert body is not None
    with file.open("r+b") as cut:
        cut.truncate(500)
    with body, pytest.raises(BodyDamaged):
        body.read(0, body.size)
    assert not folder.has(1, 1)
    assert not file.exists()


def test_a_file_that_cannot_be_read_now_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = BodyFolder(tmp_path)
    put(folder, 1, b"x")
    (file,) = tmp_path.rglob("1-0")
    file.unlink()
    file.symlink_to(file.name)
    assert folder.open(1, 1) is None
    assert "cannot be read" in caplog.text
    assert folder.has(1, 1)
    folder.discard(BodyKey(1, 1))
    assert not file.is_symlink()
