"""The cache of message bodies: hits, misses, the bound, and what is found after a crash."""

from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store.body_cache import BodyCache
from gateway.store.body_file import HEADER_OCTETS, BodyDamaged, BodyKey
from gateway.store.kept_bodies import KeptBodies

SECRET = bytes(range(32))
MIB = 1 << 20


@pytest.fixture(params=[None, SECRET], ids=["plain", "sealed"])
def secret(request: pytest.FixtureRequest) -> bytes | None:
    value: bytes | None = request.param
    return value


@pytest.fixture
def cache(tmp_path: Path, secret: bytes | None) -> BodyCache:
    made = BodyCache(tmp_path / "cache", MIB, secret)
    made.load()
    return made


def put(cache: BodyCache, message_id: int, data: bytes, account_id: int = 1) -> None:
    writer = cache.writer(account_id, message_id)
    writer.write(data[: len(data) // 2])
    writer.write(data[len(data) // 2 :])
    writer.commit()


def get(cache: BodyCache, message_id: int, account_id: int = 1) -> bytes | None:
    body = cache.open(account_id, message_id)
    if body is None:
        return None
    with body:
        return body.read(0, body.size)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_for_good_is_where_it_was_said_to_be_though_it_is_empty_yet(tmp_path: Path) -> None:
    kept = KeptBodies(tmp_path / "gateway.bodies")
    assert BodyCache(tmp_path / "cache", MIB, kept=kept).kept is kept


def test_what_is_put_is_got(cache: BodyCache) -> None:
    assert get(cache, 1) is None
    put(cache, 1, b"one")
    put(cache, 2, b"")
    assert get(cache, 1) == b"one"
    assert get(cache, 2) == b""
    assert get(cache, 1, account_id=2) is None
    assert cache.has(1, 1)
    assert not cache.has(1, 3)


def test_generations_are_kept_apart(cache: BodyCache) -> None:
    for generation in (0, 1):
        writer = cache.writer(1, 7, generation)
        writer.write(b"%d" % generation)
        writer.commit(is_durable=True)
    for generation in (0, 1):
        body = cache.open(1, 7, generation)
        assert body is not None
        with body:
            assert bytes(body.buffer()) == b"%d" % generation


def test_a_message_is_replaced_whole(cache: BodyCache) -> None:
    put(cache, 1, b"old" * 100)
    old = cache.open(1, 1)
    put(cache, 1, b"new")
    assert get(cache, 1) == b"new"
    assert len(cache) == 1
    assert old is not None
    assert old.read(0, 3) == b"old"
    old.close()
    assert cache.octets == sum(path.stat().st_size for path in files(cache._directory))


def test_nothing_is_seen_before_it_is_committed(cache: BodyCache) -> None:
    writer = cache.writer(1, 1)
    writer.write(b"half")
    assert get(cache, 1) is None
    writer.abort()
    writer.abort()
    assert get(cache, 1) is None
    assert files(cache._directory) == []
    with pytest.raises(OSError, match="closed"):
        writer.write(b"more")


def test_abort_after_commit_does_nothing(cache: BodyCache) -> None:
    writer = cache.writer(1, 1)
    writer.write(b"whole")
    writer.commit()
    writer.abort()
    assert get(cache, 1) == b"whole"


def test_files_are_private(cache: BodyCache) -> None:
    put(cache, 1, b"x")
    (file,) = files(cache._directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_least_recently_used_goes_first(cache: BodyCache) -> None:
    for message_id in range(1, 5):
        put(cache, message_id, bytes(250_000))
    assert get(cache, 1) is not None
    put(cache, 5, bytes(250_000))
    assert cache.octets <= MIB
    assert [message_id for message_id in range(1, 6) if cache.has(1, message_id)] == [1, 3, 4, 5]
    assert get(cache, 2) is None
    assert len(files(cache._directory)) == 4


def test_what_is_larger_than_the_cache_does_not_stay(cache: BodyCache) -> None:
    put(cache, 1, bytes(2 * MIB))
    assert get(cache, 1) is None
    assert (len(cache), cache.octets, files(cache._directory)) == (0, 0, [])


def test_an_open_body_outlives_its_eviction(cache: BodyCache) -> None:
    put(cache, 1, b"a" * 200_000)
    body = cache.open(1, 1)
    assert body is not None
    put(cache, 2, bytes(MIB - 10_000))
    assert not cache.has(1, 1)
    assert body.read(199_999, 5) == b"a"
    body.close()


def test_a_new_process_finds_what_is_there(tmp_path: Path, cache: BodyCache, secret: bytes | None) -> None:
    for message_id in (1, 2, 3):
        put(cache, message_id, b"%d" % message_id * 1000)
    for age, message_id in enumerate((2, 3, 1)):
        (path,) = (file for file in files(cache._directory) if file.name == f"{message_id}-0")
        os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    again = BodyCache(tmp_path / "cache", cache.octets - 1, secret)
    again.load()
    assert [message_id for message_id in (1, 2, 3) if again.has(1, message_id)] == [1, 3]
    assert get(again, 3) == b"3" * 1000


def test_files_are_found_before_the_directory_has_been_read(
    tmp_path: Path, cache: BodyCache, secret: bytes | None
) -> None:
    put(cache, 1, b"one")
    again = BodyCache(tmp_path / "cache", MIB, secret)
    assert get(again, 1) == b"one"
    put(again, 2, b"two")
    again.load()
    assert get(again, 1) == b"one"
    assert get(again, 2) == b"two"
    assert len(again) == 2


def test_what_a_crash_left_unfinished_is_swept(tmp_path: Path, cache: BodyCache, secret: bytes | None) -> None:
    writer = cache.writer(1, 1)
    writer.write(b"half")
    again = BodyCache(tmp_path / "cache", MIB, secret)
    mine = again.writer(1, 2)
    again.load()
    mine.write(b"whole")
    mine.commit()
    assert get(again, 2) == b"whole"
    assert [path.name for path in files(tmp_path / "cache")] == ["2-0"]
    writer.abort()


def test_foreign_files_are_left_alone(tmp_path: Path, secret: bytes | None) -> None:
    (tmp_path / "1" / "00").mkdir(parents=True)
    for name in ("README", "1/00/notes.txt", "1/file"):
        (tmp_path / name).write_text("mine")
    cache = BodyCache(tmp_path, 0, secret)
    cache.load()
    assert len(cache) == 0
    assert len(files(tmp_path)) == 3


def test_a_damaged_file_is_a_miss_and_is_removed(
    tmp_path: Path, cache: BodyCache, secret: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    put(cache, 1, b"x" * 1000)
    (path,) = files(tmp_path / "cache")
    raw = bytearray(path.read_bytes())
    raw[HEADER_OCTETS + 500] ^= 1
    path.write_bytes(raw)
    again = BodyCache(tmp_path / "cache", MIB, secret)
    again.load()
    assert again.open(1, 1) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    assert len(again) == again.octets == 0


@pytest.mark.parametrize("left", [b"", b"IGB1", bytes(64), bytes(5000)])
def test_what_a_power_cut_leaves_is_a_miss(tmp_path: Path, cache: BodyCache, secret: bytes | None, left: bytes) -> None:
    put(cache, 1, b"x" * 1000)
    (path,) = files(tmp_path / "cache")
    path.write_bytes(left)
    again = BodyCache(tmp_path / "cache", MIB, secret)
    again.load()
    assert again.open(1, 1) is None
    assert not path.exists()


def test_a_file_that_has_vanished_is_a_miss_and_is_forgotten(tmp_path: Path, cache: BodyCache) -> None:
    put(cache, 1, b"x" * 1000)
    (path,) = files(tmp_path / "cache")
    path.unlink()
    assert cache.open(1, 1) is None
    assert len(cache) == cache.octets == 0


def test_damage_found_while_reading_removes_the_file(tmp_path: Path) -> None:
    cache = BodyCache(tmp_path, 10 * MIB, SECRET)
    put(cache, 1, bytes(300_000))
    (path,) = files(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[HEADER_OCTETS + 100_000] ^= 1
    path.write_bytes(raw)
    body = cache.open(1, 1)
    assert body is not None
    assert body.read(0, 10) == bytes(10)
    with pytest.raises(BodyDamaged):
        body.read(100_000, 10)
    with pytest.raises(BodyDamaged):
        body.buffer()
    body.close()
    assert not path.exists()
    assert cache.open(1, 1) is None


def test_a_new_key_makes_misses_of_everything(tmp_path: Path) -> None:
    put(BodyCache(tmp_path, MIB, SECRET), 1, b"x")
    put(BodyCache(tmp_path, MIB, SECRET), 2, b"x")
    put(BodyCache(tmp_path, MIB, None), 3, b"x")
    changed = BodyCache(tmp_path, MIB, bytes(32))
    assert [get(changed, message_id) for message_id in (1, 2, 3)] == [None, None, None]
    assert files(tmp_path) == []


def test_a_key_has_the_right_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        BodyCache(tmp_path, MIB, b"short")


def test_a_full_disk_leaves_nothing_behind(cache: BodyCache, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = cache.writer(1, 1)
    writer.write(b"x" * 100)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        writer.write(b"x" * 200_000)
    with pytest.raises(OSError, match="No space left"):
        cache.writer(1, 2)
    writer.abort()
    monkeypatch.undo()
    assert files(cache._directory) == []
    assert get(cache, 1) is None
    put(cache, 1, b"later")
    assert get(cache, 1) == b"later"


def test_an_account_is_removed_with_its_folder(cache: BodyCache) -> None:
    put(cache, 1, b"x", account_id=1)
    put(cache, 1, b"y", account_id=2)
    cache.remove_account(1)
    assert get(cache, 1) is None
    assert get(cache, 1, account_id=2) == b"y"
    assert len(files(cache._directory)) == 1
    assert cache.octets == files(cache._directory)[0].stat().st_size


def test_a_discarded_message_is_gone(cache: BodyCache) -> None:
    put(cache, 1, b"x")
    cache.discard(BodyKey(1, 1))
    cache.discard(BodyKey(1, 1))
    assert get(cache, 1) is None
    assert cache.octets == 0


def test_many_threads_may_read_and_write_at_once(cache: BodyCache) -> None:
    barrier = threading.Barrier(4)

    def work(worker: int) -> None:
        barrier.wait(30)
        for turn in range(40):
            message_id = (worker * 7 + turn) % 10
            put(cache, message_id, b"%d" % message_id * 50_000)
            found = get(cache, message_id)
            assert found is None or found == b"%d" % message_id * 50_000

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, worker) for worker in range(4)]:
            future.result()
    assert cache.octets == sum(path.stat().st_size for path in files(cache._directory))
    assert cache.octets <= MIB


def test_a_large_body_is_read_by_several_threads(cache: BodyCache) -> None:
    data = bytes(range(256)) * 3000
    put(cache, 1, data)
    body = cache.open(1, 1)
    assert body is not None
    with body, ThreadPoolExecutor(4) as pool:
        offsets = range(0, len(data), 10_000)
        pieces = list(pool.map(lambda offset: body.read(offset, 10_000), offsets))
    assert b"".join(pieces) == data
