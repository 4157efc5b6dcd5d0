"""The objects an account holds: mailboxes and Emails."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tests.fakes.jmap.content import Content

RIGHTS = (
    "mayReadItems",
    "mayAddItems",
    "mayRemoveItems",
    "maySetSeen",
    "maySetKeywords",
    "mayCreateChild",
    "mayRename",
    "mayDelete",
    "maySubmit",
)
ROLES = frozenset({"all", "archive", "drafts", "flagged", "important", "inbox", "junk", "sent", "trash"})


@dataclass(slots=True, eq=False)
class Email:
    """One message. `number` says in which order the account got its messages."""

    id: str
    number: int
    blob_id: str
    thread_id: str
    content: Content
    size: int
    received_at: datetime
    mailbox_ids: set[str]
    keywords: set[str]

    @property
    def is_unread(self) -> bool:
        return not ("$seen" in self.keywords or "$draft" in self.keywords)

    @property
    def order(self) -> tuple[datetime, int, str]:
        return self.received_at, self.number, self.id


class ResultList(Protocol):
    """The ids that a query found, in order."""

    def __len__(self) -> int: ...

    def index(self, email: Email) -> int | None:
        """Return the place of a message, None if it is not among them."""

    def page(self, start: int, stop: int) -> list[str]:
        """Return the ids from `start` up to `stop`."""


class ByDate:
    """Messages sorted by `receivedAt`, then by arrival. Membership changes cost a search and a shift."""

    def __init__(self, keys: Sequence[tuple[datetime, int, str]] = ()) -> None:
        self._keys = sorted(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, email: Email) -> None:
        insort(self._keys, email.order)

    def remove(self, email: Email) -> None:
        del self._keys[bisect_left(self._keys, email.order)]

    def index(self, email: Email) -> int | None:
        place = bisect_left(self._keys, email.order)
        return place if place < len(self._keys) and self._keys[place] == email.order else None

    def page(self, start: int, stop: int) -> list[str]:
        return [key[2] for key in self._keys[start:stop]]


@dataclass(frozen=True, slots=True)
class Descending:
    """The same messages, latest first."""

    base: ByDate

    def __len__(self) -> int:
        return len(self.base)

    def index(self, email: Email) -> int | None:
        place = self.base.index(email)
        return None if place is None else len(self.base) - 1 - place

    def page(self, start: int, stop: int) -> list[str]:
        total = len(self.base)
        return self.base.page(max(total - stop, 0), max(total - start, 0))[::-1]


class FoundIds:
    """The result of a query that has to look at each message."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = list(ids)
        self._places = {email_id: place for place, email_id in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def index(self, email: Email) -> int | None:
        return self._places.get(email.id)

    def page(self, start: int, stop: int) -> list[str]:
        return self._ids[start:stop]


@dataclass(slots=True, eq=False)
class Mailbox:
    """A mailbox and its counts, kept up to date. `membership` grows whenever a message comes or goes."""

    id: str
    name: str
    parent_id: str | None
    role: str | None = None
    sort_order: int = 0
    is_subscribed: bool = True
    denied: set[str] = field(default_factory=set)
    emails: ByDate = field(default_factory=ByDate)
    unread: int = 0
    threads: Counter[str] = field(default_factory=Counter)
    unread_threads: Counter[str] = field(default_factory=Counter)
    membership: int = 0

    def include(self, email: Email) -> None:
        self.emails.add(email)
        self.membership += 1
        self.threads[email.thread_id] += 1
        if email.is_unread:
            self.count_unread(email, 1)

    def exclude(self, email: Email) -> None:
        self.emails.remove(email)
        self.membership += 1
        _count(self.threads, email.thread_id, -1)
        if email.is_unread:
            self.count_unread(email, -1)

    def count_unread(self, email: Email, by: int) -> None:
        self.unread += by
        _count(self.unread_threads, email.thread_id, by)

    def allows(self, right: str) -> bool:
        return right not in self.denied


def _count(counts: Counter[str], key: str, by: int) -> None:
    counts[key] += by
    if not counts[key]:
        del counts[key]
