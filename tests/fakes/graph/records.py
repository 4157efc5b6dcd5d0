"""Folders and messages of a mailbox, and what is noted of each change of a folder."""

from __future__ import annotations

import bisect
import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.fakes.graph.content import Content

NOT_FLAGGED: Final[dict[str, Any]] = {"flagStatus": "notFlagged"}
MAIL_CLASS: Final = "IPF.Note"


class Kind(enum.Enum):
    """What happened to a message, seen from one folder."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `is_move`: it came from, or went to, another folder. `moves`: of the message, when it happened."""

    sequence: int
    number: int
    kind: Kind
    properties: frozenset[str] = frozenset()
    is_move: bool = False
    moves: int = 0


@dataclass(slots=True)
class Folder:
    """One folder. `order`: (received in ms, number) of each message, oldest first. `strangers`: items that are no mail.

    `epoch`: tokens of another one are forgotten. `shown`: how far changes are told where they lag.
    """

    number: int
    name: str
    parent: Folder | None
    folder_class: str = MAIL_CLASS
    well_known: str | None = None
    is_hidden: bool = False
    search_query: str | None = None
    children: dict[str, Folder] = field(default_factory=dict)
    order: list[tuple[int, int]] = field(default_factory=list)
    unread: int = 0
    strangers: int = 0
    journal: list[Entry] = field(default_factory=list)
    epoch: int = 0
    expired_status: int = 410
    shown: int = 0
    extended: dict[str, str] = field(default_factory=dict)
    changed: int = 0

    def since(self, sequence: int, upto: int) -> list[Entry]:
        """Return what happened after `sequence`, up to and with `upto`."""
        start = bisect.bisect_right(self.journal, sequence, key=lambda entry: entry.sequence)
        end = bisect.bisect_right(self.journal, upto, key=lambda entry: entry.sequence)
        return self.journal[start:end]

    @property
    def newest(self) -> int:
        """The sequence of the newest change; 0 if there was none."""
        return self.journal[-1].sequence if self.journal else 0

    def is_below(self, other: Folder) -> bool:
        """Tell whether it is `other` or in it."""
        folder: Folder | None = self
        while folder is not None:
            if folder is other:
                return True
            folder = folder.parent
        return False


@dataclass(slots=True)
class Message:
    """One message. Times in ms since 1970. `extended`: properties that were set, by canonical id.

    `deleted_from`: the folder it was in, once it is deleted but not yet purged.
    """

    number: int
    folder: Folder
    content: Content
    received_ms: int
    created_ms: int
    modified_ms: int
    change: int
    is_read: bool = False
    is_draft: bool = False
    flag: dict[str, Any] = field(default_factory=lambda: NOT_FLAGGED)
    categories: tuple[str, ...] = ()
    importance: str | None = None
    inference: str = "focused"
    moves: int = 0
    has_transport: bool = True
    extended: dict[str, str] | None = None
    deleted_from: Folder | None = None
    odata_type: str = "#microsoft.graph.message"

    @property
    def key(self) -> tuple[int, int]:
        """Its place in its folder."""
        return self.received_ms, self.number

    @property
    def received(self) -> datetime:
        """When it was received."""
        return from_ms(self.received_ms)


def from_ms(ms: int) -> datetime:
    """Return a time from milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def iso(ms: int) -> str:
    """Return a time as Graph writes it, in whole seconds."""
    return from_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")
