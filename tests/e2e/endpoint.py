"""Where a test's client connects to: the server under test and, beside it, the server that holds the mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tests.e2e.backends import Backend
from tests.e2e.gist import gist_of

if TYPE_CHECKING:
    from tests.e2e.back import Back

T = TypeVar("T")

GMAIL_FLAGS = frozenset({"\\Seen", "\\Flagged"})
GMAIL_MAILBOXES = frozenset(
    {
        "INBOX",
        "[Gmail]",
        "[Gmail]/All Mail",
        "[Gmail]/Drafts",
        "[Gmail]/Important",
        "[Gmail]/Sent Mail",
        "[Gmail]/Spam",
        "[Gmail]/Starred",
        "[Gmail]/Trash",
    }
)
OUTLOOK_MAILBOXES = frozenset(
    {
        "INBOX",
        "Archive",
        "Conversation History",
        "Deleted Items",
        "Drafts",
        "Junk Email",
        "Outbox",
        "Sent Items",
    }
)
_OUTLOOK_LACKS = frozenset({"\\Deleted", "\\Draft"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One login at one IMAP server on this machine, without TLS."""

    host: str
    port: int
    login: str
    password: str


NOWHERE = Endpoint("127.0.0.1", 0, "", "")
"""The IMAP of a server that has none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One mail account seen from both sides.

    `front` is what the client under test connects to, `back` is the IMAP of the server that holds the mail. When the
    suite is run against the server alone, to prove the tests themselves, both are the same and `is_direct` is true.
    Where the server has no IMAP, `back` leads nowhere and `connect_back` returns another way to it (see `open_back`).
    """

    front: Endpoint
    back: Endpoint
    backend: Backend = Backend.DOVECOT
    connect_back: Callable[[], Back] | None = None

    @property
    def is_direct(self) -> bool:
        return self.front.port == self.back.port

    @property
    def keeps_uids(self) -> bool:
        """Whether a message has the same UID, and a mailbox the same UIDVALIDITY, at both ends."""
        return self.is_direct or self.backend is Backend.DOVECOT

    @property
    def mailboxes(self) -> frozenset[str]:
        """The names of the mailboxes that a new account has."""
        own = {Backend.GMAIL: GMAIL_MAILBOXES, Backend.GRAPH: OUTLOOK_MAILBOXES}
        return own.get(self.backend, frozenset({"INBOX", "Sent"}))

    def held(self, *flags: str) -> frozenset[str]:
        """Return those of the flags that the server can hold."""
        match self.backend:
            case Backend.GMAIL:
                return frozenset(flags) & GMAIL_FLAGS
            case Backend.GRAPH:
                return frozenset(flags) - _OUTLOOK_LACKS
            case _:
                return frozenset(flags)

    def gist(self, octets: bytes) -> bytes:
        """Return what the server keeps of a message: its octets, or what it says."""
        return gist_of(octets) if self.backend is Backend.GRAPH else octets

    def gists(self, messages: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return what the server keeps of each."""
        return {uid: self.gist(octets) for uid, octets in messages.items()}

    def agrees(self, front: Mapping[int, T], back: Mapping[int, T]) -> bool:
        """Tell whether both ends hold the same, given what they hold by UID; in the same order, if UIDs differ."""
        return front == back if self.keeps_uids else list(front.values()) == list(back.values())
