"""Compares a folder with its directory, and makes mail delivered to new/ part of cur/.

Everything here blocks, and is not for concurrent use: `Folder` holds a lock around it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress

from connectors.api.types import MessageRef
from connectors.maildir import filename, keywords
from connectors.maildir.disk import Disk
from connectors.maildir.filename import FileName, UniqueNames
from connectors.maildir.snapshot import Entry, Snapshot

SETTLED_NS = 1_000_000_000  # a directory changed less than this ago may change again within the same tick of its clock


class Scanner:
    """Keeps the snapshot of one folder like its directory."""

    def __init__(self, path: str, snapshot: Snapshot, disk: Disk, names: UniqueNames) -> None:
        self._path = path
        self._cur = os.path.join(path, "cur")
        self._new = os.path.join(path, "new")
        self._snapshot = snapshot
        self._disk = disk
        self._names = names
        self._seen: tuple[int, ...] | None = None

    def scan(self, *, is_forced: bool = False) -> None:
        """Bring the snapshot up to date. Costs three `stat` calls if nothing has changed for a second.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        began = time.time_ns()
        times = self._times()
        if times == self._seen and not is_forced:
            return
        self._snapshot.set_keywords(keywords.read(self._path))
        self._take_in_new()
        self._compare()
        # What is seen of a directory that changed just now may be out of date without its times telling.
        after = self._times()
        newest = max(after[::2])
        self._seen = after if after[1::2] == times[1::2] and newest < began - SETTLED_NS else None

    def _times(self) -> tuple[int, ...]:
        found: list[int] = []
        for path in (self._cur, self._new, os.path.join(self._path, keywords.FILE)):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                if path == self._cur:
                    raise
                found += (0, 0)
            else:
                found += (status.st_mtime_ns, status.st_ino)
        return tuple(found)

    def _take_in_new(self) -> None:
        """Move what was delivered from new to cur, as whoever reads a Maildir first must."""
        try:
            with os.scandir(self._new) as found:
                names = [each.name for each in found if not each.name.startswith(".")]
        except FileNotFoundError:
            # Not the folder itself, should that be what has gone.
            with suppress(FileExistsError):
                os.mkdir(self._new)
            return
        for name in names:
            target = os.path.join(self._cur, name if ":2," in name else f"{name}:2,")
            if os.path.lexists(target):
                target = os.path.join(self._cur, f"{self._names.next()}:2,")
            with suppress(FileNotFoundError):
                os.rename(os.path.join(self._new, name), target)
        if names:
            self._disk.sync_directory(self._cur)

    def _compare(self) -> None:
        entries = self._snapshot.entries
        names = self.list_names()
        missing = entries.keys() - names.keys()
        if missing:
            # A file that is renamed while the directory is read may not be shown under either name: look twice.
            again = self.list_names()
            names |= again
            missing = entries.keys() - names.keys()
        for ref in missing:
            self._snapshot.drop(ref)
        for ref, name in names.items():
            known = entries.get(ref)
            if known is None:
                with suppress(FileNotFoundError):
                    self.enter(name)
            elif known.name != name:
                self._snapshot.put(ref, Entry(name, known.mtime_ns, known.stored, known.size))

    def list_names(self) -> dict[MessageRef, str]:
        """Return the names of the files in cur, by ref."""
        names: dict[MessageRef, str] = {}
        with os.scandir(self._cur) as found:
            for each in found:
                name = each.name
                if name.startswith("."):
                    continue
                ref = filename.message_ref(name.partition(":")[0])
                if ref in names:
                    name = self._part_doubles(names[ref], name)
                    ref = filename.message_ref(name.partition(":")[0])
                names[ref] = name
        return names

    def _part_doubles(self, first: str, second: str) -> str:
        """Return the name to use for `second`, which has the base name of `first`.

        Two messages of one base name get two names. One file under two names is about to be renamed by another program.
        """
        try:
            if os.path.samefile(os.path.join(self._cur, first), os.path.join(self._cur, second)):
                return max(first, second)
            parsed = filename.parse(second)
            renamed = str(FileName(self._names.next(), parsed.letters, parsed.rest))
            os.rename(os.path.join(self._cur, second), os.path.join(self._cur, renamed))
        except FileNotFoundError:
            return second if os.path.lexists(os.path.join(self._cur, second)) else first
        return renamed

    def enter(self, name: str, size: int | None = None) -> MessageRef:
        """Take a file of cur into the snapshot.

        Raises:
            FileNotFoundError: it is gone, or something else than a file.
        """
        status = os.stat(os.path.join(self._cur, name))
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a message file", name)
        base = filename.parse(name).base
        ref = filename.message_ref(base)
        told = filename.sizes(base)
        if size is None and told.stored in (None, status.st_size):
            size = told.served
        self._snapshot.put(ref, Entry(name, status.st_mtime_ns, status.st_size, size))
        return ref
