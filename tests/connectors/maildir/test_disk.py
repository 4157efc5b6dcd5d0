"""Durable and exclusive ways with files."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.api.errors import ConnectorError, Denied, NotFound, OverQuota, Unavailable, Unsupported
from connectors.maildir.disk import Disk, Temporary, translate

DISK = Disk()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with DISK.replacing(str(file)) as pieces:
        pieces.append(b"ne")
        pieces.append(b"w")
        assert file.read_bytes() == b"old"
        assert (tmp_path / "file.lock").exists()
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_to_write_leaves_the_file_alone(tmp_path: Path) -> None:
    with DISK.replacing(str(tmp_path / "file")):
        pass
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_file_and_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def fail() -> None:
        with DISK.replacing(str(file)) as pieces:
            pieces.append(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.EACCES, Denied),
        (errno.EROFS, Denied),
        (errno.ENOSPC, OverQuota),
        (errno.EDQUOT, OverQuota),
        (errno.ENAMETOOLONG, Unsupported),
        (errno.EIO, Unavailable),
        (errno.EMFILE, Unavailable),
    ],
)
def test_errors_of_the_system_are_those_of_the_contract(code: int, kind: type[ConnectorError]) -> None:
    error = translate(OSError(code, os.strerror(code), "/some/file"))
    assert type(error) is kind
    assert "/some/file" in error.operator_text
    assert "/some/file" not in error.client_text


def test_a_temporary_file_gets_its_date(tmp_path: Path) -> None:
    temporary = Temporary(str(tmp_path / "t"), "t", 0o600, DISK)
    temporary.write(b"data")
    temporary.finish(datetime(2001, 2, 3, 4, 5, 6, 789000, tzinfo=UTC))
    status = (tmp_path / "t").stat()
    assert status.st_mtime_ns == 981173106_789000000
    assert status.st_mode & 0o777 == 0o600
    assert (tmp_path / "t").read_bytes() == b"data"


def test_a_discarded_file_is_gone_and_takes_no_more(tmp_path: Path) -> None:
    temporary = Temporary(str(tmp_path / "t"), "t", 0o600, DISK)
    temporary.write(b"data")
    temporary.discard()
    temporary.discard()
    assert os.listdir(tmp_path) == []
    with pytest.raises(Unavailable):
        temporary.write(b"more")
    with pytest.raises(Unavailable):
        temporary.finish(None)


def test_a_file_that_the_disk_has_begun_with_is_as_it_was_written(tmp_path: Path) -> None:
    temporary = Temporary(str(tmp_path / "1.host"), "1.host", 0o600, DISK)
    temporary.write(b"one ")
    temporary.begin_sync()
    temporary.write(b"two")
    temporary.begin_sync()
    temporary.finish(None)
    assert (tmp_path / "1.host").read_bytes() == b"one two"
    with pytest.raises(Unavailable):
        temporary.begin_sync()
