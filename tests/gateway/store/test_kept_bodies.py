"""Octets that are kept for good: nothing pushes them out, and no change of keys hides them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.body_cache import BodyCache
from gateway.store.body_file import HEADER_OCTETS
from gateway.store.kept_bodies import KeptBodies

SECRET, OTHER = bytes(range(32)), bytes(32)


def put(kept: KeptBodies, kept_id: int, data: bytes, account_id: int = 1) -> None:
    writer = kept.writer_of(account_id, kept_id)
    writer.write(data)
    writer.commit(is_durable=True)


def get(kept: KeptBodies, kept_id: int, account_id: int = 1) -> bytes | None:
    body = kept.open_kept(account_id, kept_id)
    if body is None:
        return None
    with body:
        return body.read(0, body.size)


def test_kept_octets_outlive_the_pressure_on_the_cache_and_a_restart(tmp_path: Path) -> None:
    cache = BodyCache(tmp_path / "cache", 100)
    cache.load()
    put(cache.kept, 7, b"x" * 5000)
    for number in range(3):
        writer = cache.writer(1, number)
        writer.write(b"y" * 90)
        writer.commit()
    assert len(cache) == 0
    assert get(cache.kept, 7) == b"x" * 5000
    assert cache.kept.octets == 5000 + HEADER_OCTETS
    again = BodyCache(tmp_path / "cache", 100)
    again.load()
    assert get(again.kept, 7) == b"x" * 5000
    assert (again.octets, again.kept.octets) == (0, 5000 + HEADER_OCTETS)


def test_what_is_dropped_is_gone_and_no_longer_counted(tmp_path: Path) -> None:
    kept = KeptBodies(tmp_path / "kept")
    for number in (1, 2, 3):
        put(kept, number, b"x")
    put(kept, 1, b"y", account_id=2)
    assert sorted(kept.ids(1)) == [1, 2, 3]
    assert kept.drop_unused(1, [1, 2], in_use={2}) == 1
    assert sorted(kept.ids(1)) == [2, 3]
    kept.keep_accounts({1})
    assert (kept.ids(2), get(kept, 1, account_id=2)) == ([], None)
    kept.drop(1, 2)
    kept.drop(1, 3)
    assert kept.octets == 0
    assert [path for path in tmp_path.rglob("*-0") if path.is_file()] == []


@pytest.mark.parametrize("before", [None, SECRET], ids=["plain", "sealed"])
@pytest.mark.parametrize("after", [None, SECRET], ids=["then plain", "then sealed"])
def test_what_was_written_before_sealing_was_switched_is_read(
    tmp_path: Path, before: bytes | None, after: bytes | None
) -> None:
    put(KeptBodies(tmp_path, before, other_key=SECRET), 1, b"as it was")
    kept = KeptBodies(tmp_path, after, other_key=SECRET)
    kept.load()
    assert get(kept, 1) == b"as it was"


def test_what_cannot_be_opened_stays_on_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(KeptBodies(tmp_path, SECRET), 1, b"secret")
    kept = KeptBodies(tmp_path, OTHER)
    kept.load()
    assert get(kept, 1) is None
    assert "the kept body 1 of account 1 cannot be used" in caplog.text
    assert get(KeptBodies(tmp_path, SECRET), 1) == b"secret"


def test_what_cannot_be_read_now_is_not_taken_for_lost(tmp_path: Path) -> None:
    kept = KeptBodies(tmp_path)
    put(kept, 1, b"x")
    (file,) = (path for path in tmp_path.rglob("1-0"))
    file.unlink()
    file.symlink_to(file.name)
    with pytest.raises(OSError, match="symbolic links"):
        kept.open_kept(1, 1)


def test_nothing_is_made_where_nothing_is_kept(tmp_path: Path) -> None:
    kept = KeptBodies(tmp_path / "kept")
    kept.load()
    assert not (tmp_path / "kept").exists()
    assert (kept.ids(1), kept.octets) == ([], 0)
