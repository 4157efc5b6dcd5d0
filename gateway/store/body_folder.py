"""A folder of message bodies: one file each, written whole or not at all, plain or sealed.

    DIRECTORY/tmp/...                                         being written; swept at the start
    DIRECTORY/<account>/<hex>/<message>-<generation>          finished: renamed into place whole

Which files there are is held in memory, read from the directory once by `load`; until that is done every file is found
all the same. Methods block for as long as the disk takes; they may be called from several threads at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.store.body_file import BodyDamaged, BodyEncoder, BodyFile, BodyKey, Buffer, decode_file, open_file

log = logging.getLogger(__name__)

_FAN_OUT = 256
_EXAMINED_OCTETS = 1 << 20


@dataclass(slots=True)
class _Entry:
    """A file in the folder; `is_trusted`: this process has written it or compared its checksum."""

    octets: int
    is_trusted: bool


class StoredBody:
    """The octets of a message, open for reading, also after the file has left the folder. Close it."""

    def __init__(self, folder: BodyFolder, key: BodyKey, file: BodyFile) -> None:
        self._folder = folder
        self._key = key
        self._file = file
        self.size = file.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` octets from `offset` on; fewer only at the end.

        Raises:
            BodyDamaged: the file was altered since it was written.
        """
        try:
            return self._file.read(offset, length)
        except BodyDamaged:
            self._folder.found_damaged(self._key)
            raise

    def buffer(self) -> Buffer:
        """Return all octets: mapped where files are plain, read into memory where they are sealed. Valid until `close`.

        Raises:
            BodyDamaged: see `read`.
        """
        try:
            return self._file.buffer()
        except BodyDamaged:
            self._folder.found_damaged(self._key)
            raise

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._file.close()

    def __enter__(self) -> StoredBody:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BodyWriter:
    """Writes one message. Ends with `commit` or `abort`; an error of the disk has aborted it already."""

    def __init__(self, folder: BodyFolder, key: BodyKey, descriptor: int, path: Path, secret: bytes | None) -> None:
        self._folder = folder
        self._key = key
        self._path = path
        self._descriptor = descriptor
        with self._aborting():
            self._encoder = BodyEncoder(descriptor, key, secret)

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        if self._descriptor < 0:
            raise OSError("the file has been closed")
        try:
            yield
        except BaseException:
            self.abort()
            raise

    def write(self, data: bytes) -> None:
        """Take the next octets.

        Raises:
            OSError: the disk is full or fails; nothing is left of the file.
        """
        with self._aborting():
            self._encoder.add(data)

    def commit(self, *, is_durable: bool = False) -> None:
        """Put the message into the folder, in place of an older file of the same key.

        `is_durable` waits for the disk. Without it a crash may lose or damage the file, which is found out when it is
        opened next.

        Raises:
            OSError: see `write`.
        """
        with self._aborting():
            self._encoder.finish()
            if is_durable:
                os.fsync(self._descriptor)
            octets = os.fstat(self._descriptor).st_size
            self._folder._adopt(self._key, self._path, octets)
        self._close()

    def abort(self) -> None:
        """Throw away what was written. Does nothing after `commit` or a second time."""
        if self._descriptor >= 0:
            self._close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        self._folder._let_go(self._path)


class BodyFolder:
    """Message bodies by account, message and generation. With a `key` (32 octets) files are sealed.

    A file that is not sealed as asked for counts as damaged.
    """

    def __init__(self, directory: Path, key: bytes | None = None) -> None:
        if key is not None and len(key) != 32:
            raise ValueError("the key of a folder of bodies has 32 octets")
        self._directory = directory
        self._root = f"{directory}{os.sep}"
        self._temporary = directory / "tmp"
        self._secret = key
        self._lock = threading.Lock()
        self._entries: OrderedDict[BodyKey, _Entry] = OrderedDict()
        self._octets = 0
        self._writing: set[Path] = set()

    @property
    def octets(self) -> int:
        """What the known files take up."""
        return self._octets

    def __len__(self) -> int:
        return len(self._entries)

    def load(self) -> None:
        """Sweep what an earlier process left unfinished, and learn which files there are, oldest use first.

        Call it once, in a thread: it looks at every file.

        Raises:
            OSError: the directory cannot be made or written.
        """
        self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            for path in self._temporary.iterdir():
                if path not in self._writing:
                    path.unlink(missing_ok=True)
        found = sorted(_scan(self._directory), key=lambda item: item[0])
        with self._lock:
            current, self._entries = self._entries, OrderedDict()
            for _, key, octets in found:
                self._entries[key] = _Entry(octets, is_trusted=False)
            for key, entry in current.items():
                self._entries[key] = entry
                self._entries.move_to_end(key)
            self._octets = sum(entry.octets for entry in self._entries.values())
            self._bound()

    def _path(self, key: BodyKey) -> Path:
        folder = f"{key.message_id % _FAN_OUT:02x}"
        return self._directory / str(key.account_id) / folder / f"{key.message_id}-{key.generation}"

    def writer(self, account_id: int, message_id: int, generation: int = 0) -> BodyWriter:
        """Begin to write a message.

        Raises:
            OSError: the directory cannot be written, or the disk is full.
        """
        key = BodyKey(account_id, message_id, generation)
        self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            # Under the lock, so that the sweep of `load` never sees a file that is not in `_writing`.
            descriptor, name = tempfile.mkstemp(dir=self._temporary, prefix=f"{message_id}-")
            path = Path(name)
            self._writing.add(path)
        return BodyWriter(self, key, descriptor, path, self._secret)

    def _let_go(self, path: Path) -> None:
        with self._lock:
            self._writing.discard(path)

    def _adopt(self, key: BodyKey, path: Path, octets: int) -> None:
        target = self._path(key)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            path.rename(target)
            self._forget(key)
            self._entries[key] = _Entry(octets, is_trusted=True)
            self._octets += octets
            self._bound()

    def has(self, account_id: int, message_id: int, generation: int = 0) -> bool:
        """Tell whether a message is there, as far as is known without reading it."""
        return BodyKey(account_id, message_id, generation) in self._entries

    def open(self, account_id: int, message_id: int, generation: int = 0) -> StoredBody | None:
        """Open a message; None if it is not there in full. Reading it counts as use.

        The first time a plain file left by an earlier process is opened, it is read in full to compare its checksum.
        """
        key = BodyKey(account_id, message_id, generation)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        try:
            file = self._open_file(self._path(key), key, is_trusted=entry is not None and entry.is_trusted)
        except FileNotFoundError:
            with self._lock:
                if self._entries.get(key) is entry:
                    self._forget(key)
            return None
        except BodyDamaged as error:
            log.warning("the body of message %s of account %s is damaged: %s", message_id, account_id, error)
            self.found_damaged(key)
            return None
        except OSError as error:
            self.found_unreadable(key, error)
            return None
        if entry is not None:
            entry.is_trusted = True
        return StoredBody(self, key, file)

    def read_small(self, account_id: int, message_id: int, at_most: int) -> bytes | None:
        """Return a message of at most so many octets; takes some microseconds where the file is in memory.

        None if it is larger, not known of or not in order: then `open` finds out what there is.
        """
        key = BodyKey(account_id, message_id)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.octets > at_most:
                return None
            self._entries.move_to_end(key)
        try:
            raw = _read_file(f"{self._root}{account_id}/{message_id % _FAN_OUT:02x}/{message_id}-0", entry.octets)
            data = decode_file(raw, key, self._secret, is_trusted=entry.is_trusted)
        except OSError:
            return None
        entry.is_trusted = True
        return data

    def discard(self, key: BodyKey) -> None:
        """Remove a message. Bodies that are open stay readable."""
        with self._lock:
            self._forget(key)
            self._unlink(key)

    def remove_account(self, account_id: int) -> None:
        """Remove every message of an account."""
        with self._lock:
            for key in [key for key in self._entries if key.account_id == account_id]:
                self._forget(key)
            shutil.rmtree(self._directory / str(account_id), ignore_errors=True)

    def keys_on_disk(self) -> list[BodyKey]:
        """Return what there is, `load` or not; nothing is changed.

        Raises:
            OSError: the directory cannot be read.
        """
        return sorted(key for _, key, _ in _scan(self._directory)) if self._directory.exists() else []

    def examine(self, key: BodyKey) -> tuple[int, bytes]:
        """Read a file in full and return size and SHA-256 of the message; nothing is changed.

        Raises:
            BodyDamaged: it is not what was written.
            OSError: it does not exist or cannot be read.
        """
        file = self._open_file(self._path(key), key, is_trusted=False)
        try:
            digest = hashlib.sha256()
            for offset in range(0, file.size, _EXAMINED_OCTETS):
                digest.update(file.read(offset, _EXAMINED_OCTETS))
            return file.size, digest.digest()
        finally:
            file.close()

    def path_of(self, key: BodyKey) -> Path:
        """Return where the file of a message is, or would be."""
        return self._path(key)

    def _forget(self, key: BodyKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._octets -= entry.octets

    def _unlink(self, key: BodyKey) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            log.warning(
                "the body of message %s of account %s cannot be removed: %s", key.message_id, key.account_id, error
            )

    def _bound(self) -> None:
        """Keep within what may be held; called with the lock held, after something was added."""

    def _open_file(self, path: Path, key: BodyKey, *, is_trusted: bool) -> BodyFile:
        return open_file(path, key, self._secret, is_trusted=is_trusted)

    def found_damaged(self, key: BodyKey) -> None:
        """Take note that a file is not what was written."""
        self.discard(key)

    def found_unreadable(self, key: BodyKey, error: OSError) -> None:
        """Take note that a file cannot be read now."""
        log.warning("the body of message %s of account %s cannot be read: %s", key.message_id, key.account_id, error)


def _read_file(path: str, octets: int) -> bytes:
    """Return the content of a file of so many octets; less or more where it has another size."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, octets + 1)
    finally:
        os.close(descriptor)


def _scan(directory: Path) -> Iterator[tuple[float, BodyKey, int]]:
    """Yield (last use, key, octets on disk) of every file; what is not named like one is passed over."""
    for account in _numbered(directory):
        for folder in account.iterdir():
            if not folder.is_dir():
                continue
            with os.scandir(folder) as files:
                for file in files:
                    message, _, generation = file.name.partition("-")
                    if message.isdecimal() and generation.isdecimal():
                        with contextlib.suppress(FileNotFoundError):
                            status = file.stat()
                            key = BodyKey(int(account.name), int(message), int(generation))
                            yield max(status.st_atime, status.st_mtime), key, status.st_size


def _numbered(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.isdecimal() and path.is_dir()]
