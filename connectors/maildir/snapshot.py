"""What a folder holds, as last seen: one entry per message, and a journal of how it came to differ.

Other programs change a Maildir at any time and leave no record. The snapshot is compared with the directory whenever
the directory's times have moved, and the differences go into a journal, so that a cursor can be answered by what
happened since. A cursor also has a digest of the folder; it tells another process whether anything changed at all.
"""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import compress

from connectors.api.types import Cursor, MessageRef, MessageState
from connectors.maildir import filename
from connectors.maildir.disk import EPOCH
from connectors.maildir.keywords import Keywords

JOURNAL_LIMIT = 200_000
_DIGEST_OCTETS = 16
_DIGEST_RANGE = 1 << (8 * _DIGEST_OCTETS)


@dataclass(slots=True)
class Entry:
    """A message file in cur/. `size` is in octets as served; None until somebody has counted."""

    name: str
    mtime_ns: int
    stored: int
    size: int | None

    @property
    def date(self) -> datetime:
        return date_of(self.mtime_ns)


class Snapshot:
    """The messages of one folder by ref. Not for concurrent use: `Folder` holds a lock around it."""

    def __init__(self) -> None:
        self.entries: dict[MessageRef, Entry] = {}
        self.keywords = Keywords()
        self._token = os.urandom(6).hex()
        self._serial = 0
        self._floor = 0
        self._journal: list[MessageRef] = []
        self._is_ours = bytearray()
        self._told: dict[MessageRef, str] = {}
        self._digest = 0

    def put(self, ref: MessageRef, entry: Entry) -> None:
        """Take note of a new message, or of a new name of one."""
        old = self.entries.get(ref)
        if old is not None:
            self._digest -= _hash(old.name)
        self._digest += _hash(entry.name)
        self.entries[ref] = entry
        self._note(ref)

    def put_flags(self, ref: MessageRef, name: str) -> None:
        """Take note of a name that we have given a message, and of which whoever asked for that is told."""
        old = self.entries[ref]
        self.put(ref, Entry(name, old.mtime_ns, old.stored, old.size))
        self._is_ours[-1] = True
        self._told[ref] = name

    def echoes_since(self, cursor: Cursor) -> frozenset[MessageRef]:
        """Return those of `changed_since` that have only been given names by `put_flags`, and have the last of them."""
        token, _, rest = cursor.partition(":")
        serial = rest.partition(":")[0]
        if token != self._token or not serial.isdecimal() or int(serial) < self._floor:
            return frozenset()
        start = int(serial) - self._floor
        marks = self._is_ours[start:]
        ours = set(compress(self._journal[start:], marks))
        if len(ours) < len(marks):
            ours.difference_update(compress(self._journal[start:], map(operator.not_, marks)))
        entries, told = self.entries, self._told
        return frozenset([ref for ref in ours if ref in told and ref in entries and entries[ref].name == told[ref]])

    def drop(self, ref: MessageRef) -> None:
        """Take note that a message is gone."""
        entry = self.entries.pop(ref, None)
        if entry is not None:
            self._digest -= _hash(entry.name)
            self._note(ref)

    def set_keywords(self, keywords: Keywords) -> None:
        """Take note of what the letters mean now; whichever message carries one has changed."""
        if keywords == self.keywords:
            return
        self._digest += _hash(repr(keywords.names)) - _hash(repr(self.keywords.names))
        before, self.keywords = self.keywords, keywords
        self._told.clear()
        for ref, entry in self.entries.items():
            letters = filename.parse(entry.name).letters
            if before.flags(letters) != keywords.flags(letters):
                self._note(ref)

    @property
    def cursor(self) -> Cursor:
        return Cursor(f"{self._token}:{self._serial}:{self._digest % _DIGEST_RANGE:x}")

    def changed_since(self, cursor: Cursor) -> list[MessageRef] | None:
        """Return the refs that something happened to after the cursor, each once; None if that is not known."""
        token, _, rest = cursor.partition(":")
        serial, _, digest = rest.partition(":")
        if token == self._token and serial.isdecimal() and int(serial) >= self._floor:
            return list(dict.fromkeys(self._journal[int(serial) - self._floor :]))
        if digest == f"{self._digest % _DIGEST_RANGE:x}":
            return []
        return None

    def refs(self) -> list[MessageRef]:
        """Return all refs in the order of delivery."""
        return self.in_order(self.entries)

    def in_order(self, refs: Iterable[MessageRef]) -> list[MessageRef]:
        """Return those of the refs that are there, in the order of delivery."""
        found = {ref: entry for ref in refs if (entry := self.entries.get(ref)) is not None}
        return _sorted({ref: filename.order(entry.name, entry.mtime_ns) for ref, entry in found.items()})

    def state(self, ref: MessageRef) -> MessageState:
        """Return the state of a message that is there."""
        entry = self.entries[ref]
        return MessageState(
            ref,
            flags=self.keywords.flags(filename.parse(entry.name).letters),
            internal_date=entry.date,
            size=entry.stored if entry.size is None else entry.size,
            size_is_exact=entry.size is not None,
        )

    def states(self, refs: Iterable[MessageRef]) -> list[MessageState]:
        """Return the states of the messages that are there."""
        return [self.state(ref) for ref in refs if ref in self.entries]

    def _note(self, ref: MessageRef) -> None:
        self._serial += 1
        self._journal.append(ref)
        self._is_ours.append(False)
        if len(self._journal) > 2 * JOURNAL_LIMIT:
            del self._journal[:JOURNAL_LIMIT], self._is_ours[:JOURNAL_LIMIT]
            self._floor += JOURNAL_LIMIT
            self._told.clear()


def _sorted(keys: Mapping[MessageRef, tuple[int, int, str]]) -> list[MessageRef]:
    """Return the refs in the order of their keys.

    The interpreter runs nothing else while it sorts, a hundred thousand tuples for a tenth of a second, but numbers for
    a fifth of that. So the refs are sorted by the time alone, and then only those of the same time by their whole keys.
    """
    times = {ref: seconds + min(micros, 999_999) / 1e6 for ref, (seconds, micros, _) in keys.items()}
    refs: list[MessageRef] = []
    for _, same in itertools.groupby(sorted(times, key=times.__getitem__), times.__getitem__):
        group = list(same)
        refs += sorted(group, key=keys.__getitem__) if len(group) > 1 else group
    return refs


def date_of(mtime_ns: int) -> datetime:
    """Return a file's time as a date, in UTC and to the microsecond."""
    return EPOCH + timedelta(microseconds=mtime_ns // 1000)


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_OCTETS).digest()
    return int.from_bytes(digest, "big")
