"""Where a test's client connects to: the server under test and, beside it, the server that holds the mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tests.e2e.backends import Backend

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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One login at one IMAP server on this machine, without TLS."""

    host: str
    port: int
    login: str
    password: str


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
        return GMAIL_MAILBOXES if self.backend is Backend.GMAIL else frozenset({"INBOX", "Sent"})

    def held(self, *flags: str) -> frozenset[str]:
        """Return those of the flags that the server can hold."""
        return frozenset(flags) & GMAIL_FLAGS if self.backend is Backend.GMAIL else frozenset(flags)

    def agrees(self, front: Mapping[int, T], back: Mapping[int, T]) -> bool:
        """Tell whether both ends hold the same, given what they hold by UID; in the same order, if UIDs differ."""
        return front == back if self.keeps_uids else list(front.values()) == list(back.values())
