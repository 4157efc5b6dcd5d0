"""Durable and exclusive ways with files."""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.api.errors import ConnectorError, Denied, NotFound, OverQuota, TooLarge, Unavailable, Unsupported

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCK_PATIENCE_S = 5.0
LOCK_STALE_S = 120.0
_LOCK_PAUSE_S = 0.02
_CAN_ADVISE = hasattr(os, "posix_fadvise")


@dataclass(frozen=True, slots=True)
class Disk:
    """File operations that are on disk when they return, unless `is_synced` is false."""

    is_synced: bool = True

    def begin_sync(self, descriptor: int) -> None:
        """Have the disk begin with what was written to a file, without waiting for it.

        Of many files each then waits for little: without it every one of them is written out, and noted in the journal
        of the file system, by itself.
        """
        if self.is_synced and _CAN_ADVISE:
            # What is not on the disk yet is not dropped from memory, but written out (Linux, mm/fadvise.c).
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync_file(self, descriptor: int) -> None:
        if self.is_synced:
            os.fsync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Make sure that names made, changed and removed in the directory stay so."""
        if not self.is_synced:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def replacing(self, path: str) -> Iterator[list[bytes]]:
        """Lock a file against other programs, and put in its place what the block appends to the list.

        The lock is `<path>.lock`, which becomes the file by renaming: the protocol of Dovecot for its keywords and
        subscriptions. Nothing appended leaves the file alone.

        Raises:
            Unavailable: another program has held the lock all the time.
        """
        lock = f"{path}.lock"
        descriptor = _take_lock(lock)
        is_held = True
        try:
            pieces: list[bytes] = []
            yield pieces
            if pieces:
                _write_all(descriptor, b"".join(pieces))
                self.sync_file(descriptor)
                os.rename(lock, path)
                is_held = False
                self.sync_directory(os.path.dirname(path))
        finally:
            os.close(descriptor)
            if is_held:
                os.unlink(lock)


class Temporary:
    """A file in tmp/ on its way to be a message. Safe to discard while another thread is at work on it."""

    def __init__(self, path: str, unique: str, mode: int, disk: Disk) -> None:
        self.path = path
        self.unique = unique
        self._disk = disk
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        # Also closes it if whoever asked for the file was cancelled before it was handed over.
        self._close = weakref.finalize(self, os.close, self._descriptor)

    def write(self, data: bytes) -> None:
        with self._lock:
            self._check_open()
            _write_all(self._descriptor, data)

    def begin_sync(self) -> None:
        """Have the disk begin with what was written; see `Disk.begin_sync`."""
        with self._lock:
            self._check_open()
            self._disk.begin_sync(self._descriptor)

    def finish(self, date: datetime | None) -> None:
        """Give the file its date, now if None, see it to the disk and close it."""
        with self._lock:
            self._check_open()
            if date is not None:
                stamp_ns = (date - EPOCH) // timedelta(microseconds=1) * 1000
                os.utime(self._descriptor, ns=(stamp_ns, stamp_ns))
            self._disk.sync_file(self._descriptor)
            self._close()

    def discard(self) -> None:
        """Close and remove the file; what has become a message by now stays."""
        with self._lock:
            self._close()
            with suppress(OSError):
                os.unlink(self.path)

    def _check_open(self) -> None:
        if not self._close.alive:
            raise Unavailable(f"{self.path} was given up")


def _take_lock(lock: str) -> int:
    deadline = time.monotonic() + LOCK_PATIENCE_S
    mode = os.stat(os.path.dirname(lock)).st_mode & 0o666
    while True:
        try:
            return os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except FileExistsError:
            _break_stale_lock(lock)
        if time.monotonic() > deadline:
            raise Unavailable(f"another program holds {lock}")
        time.sleep(_LOCK_PAUSE_S)


def _break_stale_lock(lock: str) -> None:
    """Remove a lock that a crashed program left behind."""
    with suppress(FileNotFoundError):
        if time.time() - os.stat(lock).st_mtime > LOCK_STALE_S:
            os.unlink(lock)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_text(path: str) -> str | None:
    """Return a small file as text; None if there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def translate(exc: OSError) -> ConnectorError:
    """Return the error of the contract for an error of the file system."""
    text = f"{exc.filename or 'the Maildir'}: {exc.strerror or exc}"
    match exc.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return NotFound(text)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Denied(text)
        case errno.ENOSPC | errno.EDQUOT:
            return OverQuota(text)
        case errno.EFBIG:
            return TooLarge(text)
        case errno.ENAMETOOLONG | errno.EILSEQ:
            return Unsupported(text)
        case _:
            return Unavailable(text)
