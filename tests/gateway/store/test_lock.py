"""Two processes never serve from one store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.errors import StoreError
from gateway.store.lock import StoreLock

ROOT = Path(__file__).parents[3]
HOLDER = (
    "import sys\nfrom pathlib import Path\nfrom gateway.store.lock import StoreLock\n"
    "with StoreLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with StoreLock(path), pytest.raises(StoreError) as refused:
        StoreLock(path).acquire()
    assert str(refused.value) == f"{path}: is in use by process {os.getpid()}; stop the gateway that runs on it"
    with StoreLock(path):
        pass


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"in use by process {holder.pid}"):
            StoreLock(path).acquire()
        holder.kill()
        holder.wait()
        with StoreLock(path):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as refused:
        StoreLock(tmp_path / "file" / "mail.db").acquire()
    assert str(refused.value).startswith(f"{tmp_path}/file/mail.db.lock: cannot be locked: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_lock_to_the_owner_of_the_database(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    path.write_bytes(b"")
    os.chown(path, 12345, 12346)
    with StoreLock(path):
        pass
    status = (tmp_path / "mail.db.lock").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12346, 0o600)
