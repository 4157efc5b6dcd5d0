"""The history of one mailbox: what happened to which message, under ids that rise with gaps."""

from __future__ import annotations

import bisect
import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes.gmail.options import Quirks


class Change(enum.Enum):
    """What a record tells; the value is the name in `historyTypes`."""

    ADDED = "messageAdded"
    DELETED = "messageDeleted"
    LABELS_ADDED = "labelAdded"
    LABELS_REMOVED = "labelRemoved"
    BARE = ""


_LISTS = {
    Change.ADDED: "messagesAdded",
    Change.DELETED: "messagesDeleted",
    Change.LABELS_ADDED: "labelsAdded",
    Change.LABELS_REMOVED: "labelsRemoved",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `changes` maps what happened to the label ids it is about; `labels` is the state afterwards."""

    id: int
    message: str
    thread: str
    labels: frozenset[str]
    changes: tuple[tuple[Change, tuple[str, ...]], ...]

    def concerns(self, label: str) -> bool:
        """Tell whether a listing restricted to `label` shows this record."""
        return label in self.labels or any(label in changed for _, changed in self.changes)

    def resource(self, types: frozenset[str] | None, with_labels: bool) -> dict[str, Any] | None:
        """Return the History resource with what is of one of `types`; None if nothing of it is."""
        short = {"id": self.message, "threadId": self.thread}
        message: dict[str, Any] = {**short, "labelIds": sorted(self.labels)} if with_labels and self.labels else short
        found: dict[str, Any] = {"id": str(self.id), "messages": [short]}
        shown = [(change, labels) for change, labels in self.changes if types is None or change.value in types]
        if not shown:
            return None
        for change, labels in shown:
            if change in {Change.LABELS_ADDED, Change.LABELS_REMOVED}:
                found[_LISTS[change]] = [{"message": message, "labelIds": list(labels)}]
            elif change is not Change.BARE:
                found[_LISTS[change]] = [{"message": message}]
        return found


class HistoryLog:
    """All records since the floor. The id of the newest is the mailbox's historyId."""

    def __init__(self, start: int, numbers: random.Random, quirks: Quirks) -> None:
        self.current = start
        self.floor = start
        self._numbers = numbers
        self._quirks = quirks
        self._records: list[Record] = []

    def next_id(self) -> int:
        """Raise and return the mailbox's historyId."""
        self.current += self._numbers.randint(1, 40)
        return self.current

    def add(
        self, message: str, thread: str, labels: frozenset[str], changes: list[tuple[Change, tuple[str, ...]]]
    ) -> int:
        """Write down what one call did to one message; return the historyId it has now."""
        if self._quirks.bare_history_records:
            self._write(message, thread, labels, [(Change.BARE, ())])
        if self._quirks.joined_history_records:
            self._write(message, thread, labels, changes)
        else:
            for change in changes:
                self._write(message, thread, labels, [change])
        return self.current

    def expire(self) -> None:
        """Forget everything so far: only the newest historyId remains valid."""
        self.current = self.next_id()
        self.floor = self.current
        self._records.clear()

    def is_valid(self, start: int) -> bool:
        """Tell whether a listing may begin after `start`."""
        return self.floor <= start <= self.current and not self._quirks.history_is_never_valid

    def after(self, start: int) -> Iterator[Record]:
        """Yield the records whose ids are above `start`, ascending."""
        first = bisect.bisect_right(self._records, start, key=lambda record: record.id)
        for number in range(first, len(self._records)):
            yield self._records[number]

    def _write(
        self, message: str, thread: str, labels: frozenset[str], changes: list[tuple[Change, tuple[str, ...]]]
    ) -> None:
        self._records.append(Record(self.next_id(), message, thread, labels, tuple(changes)))
