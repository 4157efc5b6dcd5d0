"""The server behind the gateway, as the tests of mail clients look at it and work on it: over IMAP, or as it has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self

from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.raw_client import RawClient

Flags = frozenset[str]


class Back(Protocol):
    """One account past the gateway. Mailboxes are named as on the wire of IMAP, messages by UID.

    A server without UIDs counts the messages of each mailbox as they arrive there.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def create(self, mailbox: str) -> None: ...

    def mailboxes(self) -> Mapping[str, object]:
        """Return the mailboxes by name; those too that are only parents of others."""

    def status(self, mailbox: str, *items: str) -> dict[str, int]: ...

    def append(self, mailbox: str, content: bytes, flags: str = "()") -> int:
        """Let a message arrive and return its UID; flags that the server does not have are left out."""

    def append_many(self, mailbox: str, messages: Iterable[bytes]) -> None: ...

    def contents(self, mailbox: str) -> dict[int, bytes]:
        """Return what the server itself serves of a mailbox."""

    def flags_in(self, mailbox: str) -> dict[int, Flags]: ...

    def store(self, mailbox: str, uid: int, *, add: str = "", remove: str = "") -> None:
        """Change flags, separated by spaces."""

    def expunge(self, mailbox: str, uid: int) -> None:
        """Take one message out of the mailbox."""


def open_back(stage: Stage) -> Back:
    """Return a way past the gateway of a stage, to be used as a context manager."""
    return stage.connect_back() if stage.connect_back is not None else ImapBack.at(stage.back)


class ImapBack(RawClient):
    """A server that speaks IMAP."""

    @classmethod
    def at(cls, endpoint: Endpoint) -> Self:
        """Connect and log in."""
        return cls.logged_in(endpoint)

    def create(self, mailbox: str) -> None:
        self.ok(f'CREATE "{mailbox}"')

    def contents(self, mailbox: str) -> dict[int, bytes]:
        self.select(mailbox)
        rows = self.fetch("1:*", "(BODY.PEEK[])")
        return {uid: body for uid, row in rows.items() if isinstance(body := row["BODY[]"], bytes)}

    def flags_in(self, mailbox: str) -> dict[int, Flags]:
        self.select(mailbox)
        return self.flags()

    def store(self, mailbox: str, uid: int, *, add: str = "", remove: str = "") -> None:
        self.select(mailbox)
        if add:
            self.ok(f"UID STORE {uid} +FLAGS.SILENT ({add})")
        if remove:
            self.ok(f"UID STORE {uid} -FLAGS.SILENT ({remove})")

    def expunge(self, mailbox: str, uid: int) -> None:
        self.store(mailbox, uid, add="\\Deleted")
        self.ok(f"UID EXPUNGE {uid}")
