"""One user's mail: messages, their labels and threads, and the history of both. Knows nothing of HTTP."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tests.fakes.gmail.content import Content, with_crlf
from tests.fakes.gmail.errors import invalid, not_found
from tests.fakes.gmail.history import Change, HistoryLog
from tests.fakes.gmail.index import Key, LabelIndex
from tests.fakes.gmail.labels import PLACES, LabelBook
from tests.fakes.gmail.options import Clock, FakeOptions

# Gmail's ids are numbers of at most 63 bits in hexadecimal; the time is in their upper bits.
_ID: Final = re.compile(r"[0-9a-fA-F]{1,16}")
_MAX_ID: Final = 2**63 - 1
_TIME_SHIFT: Final = 20
_REPLY: Final = re.compile(r"^((re|fwd?|aw|wg):\s*)+", re.IGNORECASE)


@dataclass(slots=True)
class Message:
    """One message. `date_ms`: internal date. `raw` is the octets, or what makes them when they are asked for."""

    number: int
    thread: int
    labels: frozenset[str]
    date_ms: int
    history: int
    raw: bytes | Callable[[], bytes]
    size: int | None = None

    @property
    def id(self) -> str:
        """The id the API knows it by."""
        return f"{self.number:x}"

    @property
    def key(self) -> Key:
        """Its place in the listing."""
        return self.date_ms, self.number

    def content(self) -> Content:
        """Return what the message says."""
        return Content(self.raw if isinstance(self.raw, bytes) else self.raw())

    def octets(self) -> int:
        """Return the exact size."""
        if self.size is None:
            self.size = len(self.content().raw)
        return self.size


def parse_id(text: str) -> int:
    """Return the number an id stands for. Raises ApiError (400) for what cannot be an id, as Gmail does."""
    if not _ID.fullmatch(text) or int(text, 16) > _MAX_ID:
        raise invalid("Invalid id value")
    return int(text, 16)


class Mailbox:
    """All that one user has. `listeners` are called with the labels concerned after each change."""

    def __init__(self, address: str, options: FakeOptions, clock: Clock) -> None:
        self.address = address
        self.quirks = options.quirks
        self.numbers = random.Random(options.seed)
        self.labels = LabelBook(options.quirks, options.label_limit)
        self.index = LabelIndex()
        self.history = HistoryLog(self.numbers.randint(100_000, 900_000), self.numbers, options.quirks)
        self.messages: dict[int, Message] = {}
        self.listeners: list[Callable[[frozenset[str]], None]] = []
        self._clock = clock
        self._last_number = 0
        self._threads: dict[int, list[int]] = {}
        self._by_message_id: dict[str, list[int]] = {}
        self._draft_numbers = itertools.count(self.numbers.randint(10**17, 10**18))
        self.drafts: dict[str, int] = {}

    # reading

    def message(self, message_id: str) -> Message:
        """Return a message. Raises ApiError: 400 for what is no id, 404 for one that is not there."""
        found = self.messages.get(parse_id(message_id))
        if found is None:
            raise not_found()
        return found

    def thread(self, thread_id: str) -> list[Message]:
        """Return the messages of a thread, oldest first. Raises ApiError (400, 404)."""
        number = parse_id(thread_id)
        if number not in self._threads:
            raise not_found()
        return sorted((self.messages[each] for each in self._threads[number]), key=lambda message: message.key)

    @property
    def threads_total(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def with_message_id(self, message_id: str) -> list[Message]:
        """Return the messages with that Message-ID (given with its brackets), oldest first."""
        return [self.messages[number] for number in self._by_message_id.get(message_id, ())]

    def draft_of(self, message: Message) -> str | None:
        """Return the id of the draft whose present message this is."""
        return next((draft for draft, number in self.drafts.items() if number == message.number), None)

    # writing

    def fill(self, messages: Iterable[tuple[int, frozenset[str], str, Callable[[], bytes]]]) -> None:
        """Add many messages that were always there: date in ms, labels, Message-ID, what makes the octets.

        Oldest first; each is a thread of its own, and none is in the history.
        """
        for date_ms, labels, message_id, raw in messages:
            number = self._next_number(date_ms)
            self.messages[number] = Message(number, number, labels, date_ms, self.history.current, raw)
            self._threads[number] = [number]
            self._by_message_id.setdefault(message_id, []).append(number)
        self.index.fill((message.key, message.labels) for message in self.messages.values())

    def add(
        self, raw: bytes, labels: frozenset[str], *, date: datetime | None = None, thread: int | None = None
    ) -> Message:
        """Add a message (line ends become CRLF), dated now unless `date` is given."""
        raw = with_crlf(raw)
        content = Content(raw)
        now_ms = int(self._clock.now().timestamp() * 1000)
        date_ms = now_ms if date is None else int(date.timestamp() * 1000)
        number = self._next_number(now_ms)
        thread = thread if thread is not None else self._thread_for(content, number)
        message = Message(number, thread, frozenset(), date_ms, 0, raw)
        self.messages[number] = message
        self._threads.setdefault(thread, []).append(number)
        if content.message_id:
            self._by_message_id.setdefault(content.message_id, []).append(number)
        self.index.add(message.key)
        self._set_labels(message, labels)
        message.history = self.history.add(message.id, f"{thread:x}", labels, [(Change.ADDED, ())])
        self._tell(labels)
        return message

    def relabel(self, message: Message, add: frozenset[str], remove: frozenset[str]) -> None:
        """Add and remove labels; an equal state leaves no record."""
        if self.quirks.exclusive_places and add & PLACES:
            remove |= PLACES - add
        before = message.labels
        after = (before | add) - remove
        if after == before:
            return
        self._set_labels(message, after)
        changes = []
        if after - before:
            changes.append((Change.LABELS_ADDED, tuple(sorted(after - before))))
        if before - after:
            changes.append((Change.LABELS_REMOVED, tuple(sorted(before - after))))
        message.history = self.history.add(message.id, f"{message.thread:x}", after, changes)
        self._tell(before | after)

    def delete(self, message: Message) -> None:
        """Delete a message for good."""
        labels = message.labels
        self._set_labels(message, frozenset())
        self.index.remove(message.key)
        del self.messages[message.number]
        self._threads[message.thread].remove(message.number)
        if not self._threads[message.thread]:
            del self._threads[message.thread]
        message_id = message.content().message_id
        if message.number in self._by_message_id.get(message_id, ()):
            self._by_message_id[message_id].remove(message.number)
        if (draft := self.draft_of(message)) is not None:
            del self.drafts[draft]
        self.history.add(message.id, f"{message.thread:x}", labels, [(Change.DELETED, ())])
        self._tell(labels)

    def delete_label(self, label_id: str) -> None:
        """Delete a label and take it from all messages. Raises ApiError."""
        self.labels.delete(label_id)
        for _, number in list(self.index.newest_first(label_id, None)):
            message = self.messages[number]
            if self.quirks.label_deletion_in_history:
                self.relabel(message, frozenset(), frozenset({label_id}))
            else:
                self._set_labels(message, message.labels - {label_id})

    def add_draft(self, raw: bytes, thread: int | None) -> str:
        """Make a draft; return its id."""
        draft = f"r{next(self._draft_numbers)}"
        self.drafts[draft] = self.add(raw, frozenset({"DRAFT"}), thread=thread).number
        return draft

    def revise_draft(self, draft: str, raw: bytes, thread: int | None) -> Message:
        """Give a draft another content: the old message goes, a new one with another id comes."""
        old = self.messages[self.drafts[draft]]
        new = self.add(raw, frozenset({"DRAFT"}), thread=thread if thread is not None else old.thread)
        self.drafts[draft] = new.number
        self.delete(old)
        return new

    def _set_labels(self, message: Message, labels: frozenset[str]) -> None:
        for label in message.labels - labels:
            self.index.unlabel(message.key, label)
        for label in labels - message.labels:
            self.index.label(message.key, label)
        message.labels = labels

    def _thread_for(self, content: Content, number: int) -> int:
        subject = _REPLY.sub("", content.header("Subject"))
        named = f"{content.header('In-Reply-To')} {content.header('References')}".split()
        for message_id in named:
            for other in self.with_message_id(message_id):
                if _REPLY.sub("", other.content().header("Subject")) == subject:
                    return other.thread
        return number

    def _next_number(self, ms: int) -> int:
        self._last_number = max(self._last_number + self.numbers.randint(1, 999), ms << _TIME_SHIFT)
        return self._last_number

    def _tell(self, labels: frozenset[str]) -> None:
        for listener in self.listeners:
            listener(labels)
