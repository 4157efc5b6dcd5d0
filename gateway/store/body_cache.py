"""The cache of message bodies: bounded in octets, the least recently used going first.

The cache is never the only copy of anything: a file that is missing or damaged is a miss, and the message is fetched
again. What is the only copy is in its `kept` (see `gateway.store.kept_bodies`).
"""

from __future__ import annotations

from pathlib import Path

from gateway.store.body_folder import BodyFolder
from gateway.store.kept_bodies import KeptBodies


class BodyCache(BodyFolder):
    """Message bodies by account, message and generation, in `directory`, in files of at most `max_octets` in all.

    With a `key` (32 octets) files are sealed; a file that is not sealed as asked for counts as damaged, so switching
    this on or changing the key empties the cache bit by bit. What is `kept` is beside it, and not counted.
    """

    def __init__(
        self, directory: Path, max_octets: int, key: bytes | None = None, *, kept: KeptBodies | None = None
    ) -> None:
        super().__init__(directory, key)
        self._max_octets = max_octets
        self.kept = KeptBodies(directory / "kept", key) if kept is None else kept

    def load(self) -> None:
        """Learn which files there are (see `BodyFolder.load`), of those that are kept too."""
        super().load()
        self.kept.load()

    def _bound(self) -> None:
        while self._octets > self._max_octets and self._entries:
            key = next(iter(self._entries))
            self._forget(key)
            self._unlink(key)
