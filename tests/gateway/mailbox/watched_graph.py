"""A stand-in for Graph that notes what the gateway does to mail, and a ledger of what was asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.connectors.graph.writing_rig import InProcess
from tests.fakes.graph.content import Content
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.options import Clock, GraphOptions
from tests.fakes.graph.records import Folder, Kind, Message


class Ledger:
    """What clients have asked for, and what the gateway did that nobody had asked for (`wrongs`).

    Messages are named by their refs; mailboxes that messages leave by theirs, others by their names.
    """

    def __init__(self, expunge: str) -> None:
        self.is_outside = True
        self.wrongs: list[str] = []
        self.leaving: set[tuple[str, str]] = set()
        self.entering: set[tuple[str, str]] = set()
        self.flagged: set[str] = set()
        self.is_deleting_mailboxes = False
        self.is_tree_altered = False
        """Whether names of mailboxes have come or gone."""
        self.meddled: set[str] = set()
        """Messages that others have changed since all was quiet last."""
        self.parted: set[tuple[str, str]] = set()
        """Messages that were out of a folder for a while, long enough to be seen."""
        self.edited: set[str] = set()
        self.appended: Counter[str] = Counter()
        """How often each subject was to be stored at most, ever; and was stored."""
        self.made: Counter[str] = Counter()
        self.copied: Counter[str] = Counter()
        """How often each message was to be copied at most, ever; and was copied."""
        self.copies: Counter[str] = Counter()
        self._expunge = expunge

    def changed(self, ref: str, message: Message) -> None:
        """Note that the gateway changes a message."""
        if ref not in self.flagged and not self._is_own(message):
            self.wrongs.append(f"{subject_of(message)} was changed")

    def moved(self, ref: str, message: Message, source: str, destination: str, *, is_to_trash: bool) -> None:
        """Note that the gateway moves a message."""
        names = {name for one, name in self.entering if one == ref}
        is_there = bool(names) if self.is_tree_altered else destination in names
        is_asked = (ref, source) in self.leaving and (is_there or (is_to_trash and self._expunge == "trash"))
        if not is_asked and ref not in self.meddled and not self._is_own(message):
            self.wrongs.append(f"{subject_of(message)} was moved to {destination} and not to {names}")

    def deleted(self, ref: str, message: Message, source: str, *, is_for_good: bool, is_aside: bool) -> None:
        """Note that the gateway deletes a message."""
        if (ref, source) not in self.leaving and self._is_own(message):
            self.made[subject_of(message)] -= 1
            return
        may_be = (is_aside or self._expunge != "trash") and is_for_good is (self._expunge == "permanent")
        if not (may_be and (ref, source) in self.leaving) and ref not in self.meddled:
            self.wrongs.append(f"{subject_of(message)} was deleted{' for good' if is_for_good else ''}")

    def counts(self) -> Iterator[str]:
        """Yield what was made more often than was asked for."""
        for subject, times in self.made.items():
            if times > self.appended[subject]:
                yield f"{subject!r} was stored {times} times and not {self.appended[subject]}"
        for ref, times in self.copies.items():
            if times > self.copied[ref]:
                yield f"{ref} was copied {times} times and not {self.copied[ref]}"

    def forget(self) -> None:
        """Once all is quiet nothing is being asked for any more."""
        for asked in (self.leaving, self.entering, self.flagged, self.meddled, self.parted, self.edited):
            asked.clear()
        self.is_deleting_mailboxes = self.is_tree_altered = False

    def _is_own(self, message: Message) -> bool:
        """Tell whether the gateway may have made it, and not be done with it."""
        return subject_of(message) in self.appended


class WatchedMailbox(Mailbox):
    """Tells a ledger of every change of a message."""

    ledger: Ledger | None = None

    def __init__(self, address: str, name: str, options: GraphOptions, clock: Clock) -> None:
        self._is_within = False
        super().__init__(address, name, options, clock)

    def change(self, message: Message, properties: Iterable[str], **values: Any) -> None:
        ref = self.ids.message(message.number)
        if self._is_gateway(ref):
            self._told.changed(ref, message)
        super().change(message, properties, **values)

    def move(self, message: Message, folder: Folder) -> None:
        ref, source = self.ids.message(message.number), self.ids.folder(message.folder.number)
        if self._is_gateway(ref) and folder is not message.folder:
            is_to_trash = folder is self.well_known["deleteditems"]
            self._told.moved(ref, message, source, name_of(folder), is_to_trash=is_to_trash)
        super().move(message, folder)

    def copy(self, message: Message, folder: Folder) -> Message:
        if self.ledger is not None and not self.ledger.is_outside:
            self.ledger.copies[self.ids.message(message.number)] += 1
        with self._within():
            return super().copy(message, folder)

    def add(self, content: Content, folder: Folder, **more: Any) -> Message:
        message = super().add(content, folder, **more)
        if self.ledger is not None and not self.ledger.is_outside and not self._is_within:
            self.ledger.made[subject_of(message)] += 1
        return message

    def delete(self, message: Message) -> None:
        self._note_deletion(message, is_for_good=False)
        super().delete(message)

    def purge(self, message: Message) -> None:
        if not self._is_within:
            self._note_deletion(message, is_for_good=True)
        super().purge(message)

    def delete_folder(self, folder: Folder, *, is_purge: bool = False) -> None:
        if (ledger := self.ledger) is not None:
            if not ledger.is_outside and not ledger.is_deleting_mailboxes:
                ledger.wrongs.append(f"the folder {folder.name} was deleted")
            # What was just stored there is still somewhere, or is not, whoever deletes the folder.
            inside = (one.number for one in self.messages.values() if one.folder.is_below(folder))
            ledger.meddled.update(map(self.ids.message, inside))
        with self._within():
            super().delete_folder(folder, is_purge=is_purge)

    @contextmanager
    def swinging(self) -> Iterator[None]:
        """Let messages go and come back while nobody can look."""
        before = set(self._told.parted)
        yield
        self._told.parted = before

    @contextmanager
    def _within(self) -> Iterator[None]:
        before, self._is_within = self._is_within, True
        try:
            yield
        finally:
            self._is_within = before

    def _log_folder(self, folder: Folder) -> None:
        if self.ledger is not None:
            self.ledger.is_tree_altered = True
        super()._log_folder(folder)

    def _note(
        self, message: Message, folder: Folder, kind: Kind, properties: frozenset[str], *, is_move: bool = False
    ) -> None:
        if self.ledger is not None and kind is Kind.REMOVED:
            self.ledger.parted.add((self.ids.message(message.number), self.ids.folder(folder.number)))
        super()._note(message, folder, kind, properties, is_move=is_move)

    def _note_deletion(self, message: Message, *, is_for_good: bool) -> None:
        ref, source = self.ids.message(message.number), self.ids.folder(message.folder.number)
        if self._is_gateway(ref):
            aside = (self.well_known["deleteditems"], self.well_known["junkemail"])
            is_aside = any(message.folder.is_below(place) for place in aside)
            self._told.deleted(ref, message, source, is_for_good=is_for_good, is_aside=is_aside)

    @property
    def _told(self) -> Ledger:
        assert self.ledger is not None
        return self.ledger

    def _is_gateway(self, ref: str) -> bool:
        """Tell whether it is the gateway that does something to a message; note otherwise that it was not."""
        if self.ledger is not None and self.ledger.is_outside:
            self.ledger.meddled.add(ref)
        return self.ledger is not None and not self.ledger.is_outside


class RestlessFake(FakeGraph):
    """Calls `stir`, and dawdles, before a call is carried out."""

    stir: Callable[[], int] = staticmethod(lambda: 0)

    def add_user(self, address: str, name: str | None = None) -> Mailbox:
        super().add_user(address, name)
        mailbox = WatchedMailbox(address, name or "Ada", self.options, self.clock)
        self.mailboxes[address] = mailbox
        return mailbox

    async def turn(self) -> None:
        for _ in range(self.stir()):
            await asyncio.sleep(0)
        await super().turn()


class RestlessTransport(InProcess):
    """Counts the requests under way, and stirs before an answer arrives."""

    def __init__(self, fake: RestlessFake) -> None:
        super().__init__(fake)
        self._fake = fake
        self.under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        try:
            answer = await super().handle_async_request(request)
            for _ in range(self._fake.stir()):
                await asyncio.sleep(0)
            return answer
        finally:
            self.under_way -= 1


def name_of(folder: Folder) -> str:
    """Return the name of the mailbox that a folder is."""
    name = "INBOX" if folder.well_known == "inbox" else folder.name
    is_top = folder.parent is None or folder.parent.parent is None
    return name if is_top or folder.parent is None else f"{name_of(folder.parent)}/{name}"


def subject_of(message: Message) -> str:
    """Return the subject of a message at Graph."""
    return message.content.envelope.subject


def subject_in(data: bytes) -> str:
    """Return the subject of a message as a client stores it."""
    return data.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
