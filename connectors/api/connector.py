"""What every connector must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from connectors.api.capabilities import Capabilities
from connectors.api.types import (
    BatchResult,
    ChangePage,
    Cursor,
    MailboxInfo,
    MailboxRef,
    MessageContent,
    MessageRef,
    MessageState,
    Outline,
)


class Connector(ABC):
    """One account at one backend.

    A connector returns values and raises the errors of `connectors.api.errors`, nothing else. It keeps no mail of its
    own and knows nothing of UIDs but those its backend has. Methods may be called concurrently; the connector bounds
    its own connections and requests. Every method may raise `Unavailable`, `AuthExpired` and `RateLimited`. Writes may
    raise `OutcomeUnknown`. A method must not hang: each wait on the network has a bound. Cancellation leaves the
    connector usable.
    """

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do; complete once `open` has returned, constant until `close`."""

    @abstractmethod
    async def open(self) -> None:
        """Reach the backend and log in. May be called again after a failure or after `close`."""

    @abstractmethod
    async def close(self) -> None:
        """End all connections and tasks. Never raises; may be called at any time, and twice."""

    @abstractmethod
    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        """Return every mailbox of the account, parents before children, INBOX among them."""

    # -- reading ------------------------------------------------------------------------------------------------------

    @abstractmethod
    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        """Return the present position in the stream of changes.

        `mailbox` is None if and only if `cursor_scope` is ACCOUNT. Taken before `listing`, so that a later `changes`
        reports whatever happened while the listing ran.

        Raises:
            NotFound: no such mailbox.
        """

    @abstractmethod
    def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        """Yield every message of the mailbox, in pages, oldest first (by ascending UID where the backend has UIDs).

        Gives what the backend's cheapest listing gives: at least the ref; flags, date and size where they are free.

        Raises:
            NotFound: no such mailbox.
        """

    @abstractmethod
    def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        """Yield what happened after `cursor`, oldest first, and end when caught up.

        The last page carries a cursor; no page at all means that nothing happened.

        Raises:
            CursorExpired: the position is too old, or the mailbox's UIDs were invalidated; list in full.
            NotFound: no such mailbox.
        Source: modelled on JMAP /changes (RFC 8620 section 5.2).
        """

    @abstractmethod
    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        """Return the present state of the messages; those that are gone are left out.

        A backend whose refs are account-wide may also answer for messages that are no longer in this mailbox, if it
        gives their `mailboxes`.
        """

    @abstractmethod
    def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        """Yield header and, where known, structure of the messages in any order, in as few requests as possible.

        At most `capabilities.outline_limit` refs. Messages that are gone are left out, and so are those whose header
        cannot be given exactly without reading the whole message: the gateway then uses `fetch`.

        Raises:
            Unsupported: headers cannot be had more cheaply than the whole message; use `fetch`.
        """

    @abstractmethod
    async def fetch(self, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
        """Return the whole message, octet for octet as the backend holds it.

        Raises:
            NotFound: the message is gone.
        """

    # -- writing ------------------------------------------------------------------------------------------------------

    @abstractmethod
    async def store_flags(
        self,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        """Add and remove flags; `done` gives each message's state after it. At most `batch_limit` refs.

        Flags that the mailbox cannot store are never passed in. `add` and `remove` are disjoint.
        """

    @abstractmethod
    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        """Store a new message and return its state as the backend holds it now.

        When it returns, the backend has the message durably. None as date means now.

        Raises:
            NotFound: no such mailbox.
            TooLarge, OverQuota, Denied, Rejected: not stored.
        """

    @abstractmethod
    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        """Put the messages into another mailbox as well, keeping flags and dates. At most `batch_limit` refs.

        Raises:
            NotFound: no such destination.
        """

    @abstractmethod
    async def move(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        """Move the messages. No message is ever in neither mailbox. At most `batch_limit` refs.

        Raises:
            NotFound: no such destination.
        """

    @abstractmethod
    async def expunge(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
        """Remove exactly these messages from the mailbox, whatever their flags. At most `batch_limit` refs."""
