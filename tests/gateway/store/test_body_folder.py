"""A folder of message bodies without a bound; what it has in common with the cache is in `test_body_cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.body_cache import BodyCache
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


@pytest.mark.parametrize("secret", [None, bytes(range(32))], ids=["plain", "sealed"])
def test_a_small_message_is_read_at_once(tmp_path: Path, secret: bytes | None) -> None:
    folder = BodyFolder(tmp_path, secret)
    put(folder, 257, b"x" * 1000)
    again = BodyFolder(tmp_path, secret)
    assert again.read_small(1, 257, 5000) is None
    again.load()
    assert [again.read_small(1, 257, 5000) for _ in range(2)] == [b"x" * 1000] * 2
    assert again.read_small(1, 257, 1000) is None
    assert again.read_small(1, 256, 5000) is None


def test_a_small_message_that_is_not_in_order_is_left_to_be_opened(tmp_path: Path) -> None:
    folder = BodyFolder(tmp_path)
    put(folder, 1, b"x" * 1000)
    again = BodyFolder(tmp_path)
    again.load()
    (file,) = tmp_path.rglob("1-0")
    file.write_bytes(file.read_bytes()[:-1] + b"y")
    assert again.read_small(1, 1, 5000) is None
    assert again.open(1, 1) is None
    file.unlink(missing_ok=True)
    assert folder.read_small(1, 1, 5000) is None
    assert folder.open(1, 1) is None


def test_reading_a_small_message_counts_as_use(tmp_path: Path) -> None:
    folder = BodyCache(tmp_path, 3500)
    for number in (1, 2, 3):
        put(folder, number, b"x" * 1000)
    assert folder.read_small(1, 1, 5000) is not None
    put(folder, 4, b"x" * 1000)
    assert [folder.has(1, number) for number in (1, 2, 3, 4)] == [True, False, True, True]
