"""Which messages have which label, in the order of their dates."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

Key = tuple[int, int]
"""Internal date in ms, and message number: unique, and sorts oldest first."""


class LabelIndex:
    """A sorted list of keys for each label, and one of all messages."""

    def __init__(self) -> None:
        self._all: list[Key] = []
        self._by_label: dict[str, list[Key]] = {}

    def fill(self, keys: Iterable[tuple[Key, frozenset[str]]]) -> None:
        """Add many messages at once, in any order."""
        for key, labels in keys:
            self._all.append(key)
            for label in labels:
                self._by_label.setdefault(label, []).append(key)
        self._all.sort()
        for listed in self._by_label.values():
            listed.sort()

    def add(self, key: Key) -> None:
        """Add a message, without labels."""
        bisect.insort(self._all, key)

    def remove(self, key: Key) -> None:
        """Take a message away; its labels must have gone before."""
        _take(self._all, key)

    def label(self, key: Key, label: str) -> None:
        """Note that a message has a label now."""
        bisect.insort(self._by_label.setdefault(label, []), key)

    def unlabel(self, key: Key, label: str) -> None:
        """Note that a message has a label no more."""
        _take(self._by_label[label], key)

    def count(self, label: str | None) -> int:
        """Return how many messages have `label`, or how many there are."""
        return len(self._listed(label))

    def newest_first(self, label: str | None, before: Key | None) -> Iterator[Key]:
        """Yield the keys of messages with `label` (None: of all) that sort before `before`, newest first."""
        listed = self._listed(label)
        end = len(listed) if before is None else bisect.bisect_left(listed, before)
        for number in range(end - 1, -1, -1):
            yield listed[number]

    def _listed(self, label: str | None) -> list[Key]:
        return self._all if label is None else self._by_label.get(label, [])


def _take(listed: list[Key], key: Key) -> None:
    del listed[bisect.bisect_left(listed, key)]
