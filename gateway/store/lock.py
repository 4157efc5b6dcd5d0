"""One gateway per store: whoever serves from a database holds its lock, and whoever repairs it.

The lock is a file beside the database, locked with flock(2): the kernel lets go of it however the process ends. It is
not the database itself, since closing any descriptor of that would drop the locks that SQLite holds on it. The command
line changes users and accounts beside a running gateway without this lock; transactions are enough for that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType

from gateway.store.errors import StoreError

_SUFFIX = ".lock"


class StoreLock:
    """Holds the lock of the database at `path` from `acquire` on, until `release`. A context manager of both."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = path.with_name(path.name + _SUFFIX)
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock; do not wait for it.

        Raises:
            StoreError: another process holds it, or the file cannot be made.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreError(f"cannot be locked: {exc.strerror or exc}", source=str(self._path)) from exc
        try:
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"cannot be locked: {exc.strerror or exc}", source=str(self._path)) from exc
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            who = f"process {holder}" if holder.isdecimal() else "another process"
            raise StoreError(
                f"is in use by {who}; stop the gateway that runs on it", source=str(self._database)
            ) from exc
        self._give_to_owner(descriptor)
        # Only for the message above; a full disk must not keep anybody from the lock.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _give_to_owner(self, descriptor: int) -> None:
        """Let the user of the gateway lock it too, after root was here first."""
        if os.geteuid() == 0:
            with contextlib.suppress(OSError):
                owner = self._database.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def release(self) -> None:
        """Let go of the lock. May be called twice. The file stays: removing it would race with who comes next."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> StoreLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
