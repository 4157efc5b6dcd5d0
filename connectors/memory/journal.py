"""What happened to the mail of an account, in order: cursors are places in it, and watchers are rung for each entry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.api.errors import CursorExpired
from connectors.api.types import Cursor, MailboxRef, MessageRef, PushEvent
from connectors.memory.mail import Mailbox


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: something happened to `ref` in `mailbox`; without a ref, to the mailbox tree."""

    serial: int
    mailbox: MailboxRef | None
    ref: MessageRef | None


class Watcher:
    """What happened since it was last asked; the mailboxes are merged."""

    def __init__(self) -> None:
        self._mailboxes: dict[MailboxRef | None, None] = {}
        self._bell = asyncio.Event()

    def ring(self, mailbox: MailboxRef | None) -> None:
        self._mailboxes[mailbox] = None
        self._bell.set()

    async def next_events(self) -> list[PushEvent]:
        await self._bell.wait()
        self._bell.clear()
        events = [PushEvent(mailbox) for mailbox in self._mailboxes]
        self._mailboxes.clear()
        return events


@dataclass(slots=True)
class Journal:
    """The journal of one account. `serial` is the number of the last entry, 0 if there is none."""

    serial: int = 0
    watchers: set[Watcher] = field(default_factory=set)
    _entries: list[Entry] = field(default_factory=list)
    _floor: int = 0

    def note(self, mailbox: MailboxRef | None, ref: MessageRef | None = None) -> int:
        """Write down what happened, ring the watchers, and return the serial number of the entry."""
        self.serial += 1
        self._entries.append(Entry(self.serial, mailbox, ref))
        self.ring(mailbox)
        return self.serial

    def ring(self, mailbox: MailboxRef | None) -> None:
        """Ring the watchers as if something had happened in the mailbox, or to the tree."""
        for watcher in self.watchers:
            watcher.ring(mailbox)

    def position(self, mailbox: Mailbox | None) -> Cursor:
        """Return the cursor of now; a mailbox with UIDs has its UIDVALIDITY in it."""
        return self.cursor_at(self.serial, mailbox)

    def cursor_at(self, serial: int, mailbox: Mailbox | None) -> Cursor:
        return Cursor(f"{serial}" if mailbox is None else f"{serial}.{mailbox.uidvalidity}")

    def entries_after(self, cursor: Cursor, mailbox: Mailbox | None) -> Iterator[Entry]:
        """Iterate over what happened after the cursor, oldest first.

        Raises:
            CursorExpired: it is below the floor, of another UIDVALIDITY, or none of ours.
        """
        serial = self.serial_of(cursor, mailbox)
        for entry in self._entries:
            if entry.serial > serial and (mailbox is None or entry.mailbox == mailbox.ref):
                yield entry

    def serial_of(self, cursor: Cursor, mailbox: Mailbox | None) -> int:
        """Return the serial number in a cursor.

        Raises:
            CursorExpired: see `entries_after`.
        """
        serial, _, uidvalidity = cursor.partition(".")
        is_ours = serial.isdecimal() and uidvalidity == ("" if mailbox is None else str(mailbox.uidvalidity))
        if not is_ours or int(serial) < self._floor:
            raise CursorExpired(f"cursor {cursor!r} is too old")
        return int(serial)

    def expire_cursors(self) -> None:
        """Make every cursor handed out so far too old."""
        self._floor = self.note(None)
