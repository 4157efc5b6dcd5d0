"""Octets that are kept for good: what clients appended, where the backend composes messages anew at each reading.

They are what the UID was given for, and here is the only copy (see `gateway.store.contents`): nothing is pushed out,
and a file leaves only when no message has its octets any more. They belong with the database, and into its backup.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from gateway.store.body_file import BodyDamaged, BodyFile, BodyKey, open_file
from gateway.store.body_folder import BodyFolder, BodyWriter, StoredBody

log = logging.getLogger(__name__)


class KeptBodies(BodyFolder):
    """Kept octets by account and `kept_id`.

    New files are sealed with `key`, if there is one; those that were written otherwise, plain or under `other_key`,
    are read all the same, so that an operator may change his mind.
    """

    def __init__(self, directory: Path, key: bytes | None = None, *, other_key: bytes | None = None) -> None:
        super().__init__(directory, key)
        others = {None, other_key} - {key}
        self._others = sorted(others, key=lambda other: other is None)

    def load(self) -> None:
        """Learn which files there are (see `BodyFolder.load`); a folder that nothing was kept in need not be there."""
        if self._directory.exists():
            super().load()

    def writer_of(self, account_id: int, kept_id: int) -> BodyWriter:
        """Begin to write; end with `commit(is_durable=True)`.

        Raises:
            OSError: the directory cannot be written, or the disk is full.
        """
        return self.writer(account_id, kept_id)

    def open_kept(self, account_id: int, kept_id: int) -> StoredBody | None:
        """Open kept octets; None if they are lost.

        Raises:
            OSError: they may be there but cannot be read now.
        """
        return self.open(account_id, kept_id)

    def drop(self, account_id: int, kept_id: int) -> None:
        """Remove what no message has any more. Bodies that are open stay readable."""
        self.discard(BodyKey(account_id, kept_id))

    def drop_unused(self, account_id: int, candidates: Collection[int], in_use: Collection[int]) -> int:
        """Remove those of the candidates that are not in use; return how many went."""
        unused = [kept_id for kept_id in candidates if kept_id not in in_use]
        for kept_id in unused:
            self.drop(account_id, kept_id)
        return len(unused)

    def ids(self, account_id: int) -> list[int]:
        """Return the names of what an account has, as far as `load` and this process have seen them."""
        return [key.message_id for key in self._keys() if key.account_id == account_id]

    def keep_accounts(self, account_ids: Collection[int]) -> None:
        """Remove what belongs to accounts that are no more."""
        for account_id in {key.account_id for key in self._keys()} - set(account_ids):
            self.remove_account(account_id)

    def found_damaged(self, key: BodyKey) -> None:
        # It stays for the operator, who may have it in a backup, or find what is wrong with the disk or the key.
        log.error("the kept body %s of account %s cannot be used", key.message_id, key.account_id)

    def found_unreadable(self, key: BodyKey, error: OSError) -> None:
        # Taken for lost, they would be replaced for good.
        raise error

    def _keys(self) -> Iterator[BodyKey]:
        with self._lock:
            keys = list(self._entries)
        return iter(keys)

    def _open_file(self, path: Path, key: BodyKey, *, is_trusted: bool) -> BodyFile:
        try:
            return open_file(path, key, self._secret, is_trusted=is_trusted)
        except BodyDamaged:
            for other in self._others:
                with contextlib.suppress(BodyDamaged):
                    return open_file(path, key, other, is_trusted=is_trusted)
            raise

    def _adopt(self, key: BodyKey, path: Path, octets: int) -> None:
        super()._adopt(key, path, octets)
        # The name has to be on the disk too, not just the octets.
        folder = self._path(key).parent
        for directory in (folder, folder.parent, self._directory):
            _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
