"""What another program does to the mail while the gateway serves it: one way for each backend."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential
from connectors.api.spec import ConnectorSpec
from connectors.api.types import MessageRef
from connectors.maildir import SPEC as MAILDIR
from connectors.maildir import filename
from connectors.maildir.names import Layout
from connectors.memory.backend import Layout as MemoryLayout
from connectors.memory.backend import MemoryBackend
from connectors.memory.connector import shared_spec
from tests.scenarios.samples import marker

MailboxPath = tuple[str, ...]

USUAL_MAILBOXES = ("Archive", "Drafts", "Junk", "Sent", "Trash")


class Outside(ABC):
    """A backend with INBOX and the usual mailboxes, all subscribed, and the hands of another program on it.

    `connector_name` and `settings` are how the gateway reaches it. Messages are named by the number in their subject.
    """

    connector_name: str
    settings: Mapping[str, object]
    spec: ConnectorSpec
    renamed: Mapping[str, str] = MappingProxyType({})
    """What the backend lets no mailbox be called, and what takes its place in transcripts."""

    def connect(self, settings: Mapping[str, object]) -> Connector:
        """Build the gateway's connector."""
        return self.spec.build(settings, FixedCredential(None))

    @abstractmethod
    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None: ...

    @abstractmethod
    def remove(self, mailbox: MailboxPath, number: int) -> None: ...

    @abstractmethod
    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        """Replace the flags of a message."""

    @abstractmethod
    def create(self, mailbox: MailboxPath) -> None: ...

    @abstractmethod
    def delete(self, mailbox: MailboxPath) -> None: ...

    def renew(self, mailbox: MailboxPath) -> None:
        """Void the UIDs of a mailbox; only where the backend has UIDs."""
        raise AssertionError(f"{self.connector_name} has no UIDs of its own")

    def set_offline(self, is_offline: bool) -> None:
        """Cut the backend off, or bring it back; only where there is a way between it and us."""
        raise AssertionError(f"{self.connector_name} cannot be cut off")


class OutsideMemory(Outside):
    """A memory backend."""

    connector_name = "memory"

    def __init__(
        self,
        layout: MemoryLayout = MemoryLayout.FOLDERS,
        *,
        has_uids: bool = False,
        is_whole: bool = False,
        varies: bool = False,
    ) -> None:
        self.backend = MemoryBackend(
            layout,
            has_uids=has_uids,
            lists_account=is_whole,
            reports_tree=is_whole,
            has_exact_headers=not varies,
            bodies_vary=varies,
        )
        self.settings = {"backend": "scenario"}
        self.spec = shared_spec({"scenario": self.backend})

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        self.backend.deliver(mailbox, data, flags, date)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        held = self._find(mailbox, number)
        self.backend.remove(mailbox, held)

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        self.backend.set_flags(mailbox, self._find(mailbox, number), flags)

    def create(self, mailbox: MailboxPath) -> None:
        self.backend.create_mailbox(mailbox)

    def delete(self, mailbox: MailboxPath) -> None:
        self.backend.delete_mailbox(mailbox)

    def set_offline(self, is_offline: bool) -> None:
        self.backend.set_offline(is_offline)

    def renew(self, mailbox: MailboxPath) -> None:
        self.backend.invalidate_uidvalidity(mailbox)

    def _find(self, mailbox: MailboxPath, number: int) -> MessageRef:
        for held in self.backend.messages(mailbox):
            if marker(number) in held.data:
                return held.refs[self.backend.mailbox(mailbox).ref]
        raise AssertionError(f"no message {number} in {mailbox}")


class OutsideMaildir(Outside):
    """A Maildir++; everything is done to its files."""

    connector_name = "maildir"
    spec = MAILDIR

    def __init__(self, root: Path) -> None:
        self._root = root
        self._delivered = 0
        self.settings = {"path": str(root), "fsync": False}
        _make_maildir(root)
        for name in USUAL_MAILBOXES:
            _make_maildir(root / f".{name}")

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        self._delivered += 1
        base = f"1700000000.M{self._delivered:06}P1.example"
        folder = self._folder(mailbox)
        temporary = folder / "tmp" / base
        # As delivery agents write it: with the line ends of the system.
        temporary.write_bytes(data.replace(b"\r\n", b"\n"))
        os.utime(temporary, (date.timestamp(), date.timestamp()))
        place = folder / "cur" / f"{base}:2,{_letters(flags)}" if flags else folder / "new" / base
        temporary.rename(place)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        self._find(mailbox, number).unlink()

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        path = self._find(mailbox, number)
        base = path.name.partition(":")[0]
        path.rename(self._folder(mailbox) / "cur" / f"{base}:2,{_letters(flags)}")

    def create(self, mailbox: MailboxPath) -> None:
        _make_maildir(self._folder(mailbox))

    def delete(self, mailbox: MailboxPath) -> None:
        folder = self._folder(mailbox)
        gone = folder.with_name("..removed-by-another-program")
        folder.rename(gone)

    def _folder(self, mailbox: MailboxPath) -> Path:
        return self._root / Layout.MAILDIRPP.directory(mailbox)

    def _find(self, mailbox: MailboxPath, number: int) -> Path:
        wanted = marker(number).replace(b"\r\n", b"\n")
        folder = self._folder(mailbox)
        for path in [*folder.glob("cur/*"), *folder.glob("new/*")]:
            if wanted in path.read_bytes().replace(b"\r\n", b"\n"):
                return path
        raise AssertionError(f"no message {number} in {mailbox}")


def _letters(flags: frozenset[str]) -> str:
    return "".join(sorted(filename.LETTER_OF[flag] for flag in flags))


def _make_maildir(folder: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
