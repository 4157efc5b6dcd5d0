"""The values that cross the border between the gateway and a connector.

All are immutable. Sizes are in octets, times are timezone-aware, names are Unicode (never modified UTF-7), flags are
spelled as in IMAP: system flags with their backslash and in the case of RFC 9051 section 2.3.2, keywords as they are.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType, Protocol, runtime_checkable

from connectors.api.errors import ConnectorError

MailboxRef = NewType("MailboxRef", str)
"""The backend's id of a mailbox; unique in its account and kept across a rename where the backend can."""

MessageRef = NewType("MessageRef", str)
"""The backend's id of a message; unique in its account, or in its mailbox (see `Capabilities.ref_scope`)."""

Cursor = NewType("Cursor", str)
"""A position in the backend's stream of changes. Opaque to the gateway, which only stores it."""

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
SYSTEM_FLAGS = frozenset({SEEN, ANSWERED, FLAGGED, DELETED, DRAFT})


class Role(enum.Enum):
    """What a mailbox is for: the special uses of RFC 6154 and RFC 8457, and INBOX."""

    INBOX = "inbox"
    ALL = "all"
    ARCHIVE = "archive"
    DRAFTS = "drafts"
    FLAGGED = "flagged"
    IMPORTANT = "important"
    JUNK = "junk"
    SENT = "sent"
    TRASH = "trash"


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """A mailbox as the backend describes it.

    `path` holds the components of its name from the root; INBOX is `("INBOX",)` whatever the backend calls it, and a
    component may contain any character, the hierarchy separator included.
    `uidvalidity` and `uidnext` are set only by a backend whose UIDs are stable (`Capabilities.has_uids`).
    `storable_flags` are the system flags and keywords the backend keeps for messages here; the gateway holds any
    other flag itself. `any_keyword` says that keywords beyond those may be stored too.
    `messages` is the backend's count at the time of listing, if it came for free; None otherwise.
    `mailbox_id` is the MAILBOXID of RFC 8474 where the backend has one: 1..255 of A-Z, a-z, 0-9, `-` and `_`.
    """

    ref: MailboxRef
    path: tuple[str, ...]
    role: Role | None = None
    is_selectable: bool = True
    allows_children: bool = True
    is_read_only: bool = False
    is_subscribed: bool = True
    storable_flags: frozenset[str] = SYSTEM_FLAGS
    any_keyword: bool = True
    uidvalidity: int | None = None
    uidnext: int | None = None
    messages: int | None = None
    mailbox_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageState:
    """What the backend says of one message now. State, not a delta: applying it twice changes nothing.

    A field that is None is unknown, and what was known before stays true.
    `mailboxes` is the complete membership, for a backend that can hold a message in several mailboxes; None means that
    the message is in the mailbox that was asked and nothing is said of others; where none was asked, as in changes of
    the account, nothing is said of any, and the message is where it was.
    `flags` is the complete set the backend stores for the message.
    `uid` is 1..2^32-1 (RFC 9051 section 2.3.1.1), given only by a backend that `has_uids`.
    `email_id` and `thread_id` are EMAILID and THREADID of RFC 8474, where the backend has ids that never come to mean
    other octets or another conversation: 1..255 of A-Z, a-z, 0-9, `-` and `_`. What was first told of a message stays,
    be it that there is no `email_id`; so say them wherever you say anything of it for the first time, or never.
    `content_changed` says that the octets differ from those earlier given under this ref, so a new UID is needed.
    """

    ref: MessageRef
    mailboxes: frozenset[MailboxRef] | None = None
    flags: frozenset[str] | None = None
    uid: int | None = None
    internal_date: datetime | None = None
    size: int | None = None
    size_is_exact: bool = True
    email_id: str | None = None
    thread_id: str | None = None
    content_changed: bool = False


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One page of what happened after a cursor.

    `changed` holds the present state of new and altered messages, oldest first; a ref may appear twice, the later wins.
    `removed` are refs that are gone: from the mailbox asked, or from the account if the cursor is account-wide.
    `present`, if set, is the complete set of refs now in the mailbox asked, for backends that cannot name what was
    removed: whatever else is known there is gone.
    `cursor`, if set, is the position to store once this page and all before it have been applied.
    `mailboxes_changed` says that the mailbox tree should be listed again. A state may name a mailbox not listed yet,
    with or without this; the gateway then lists the tree before it applies the page.
    `echoes` are refs of messages to which nothing has happened but what `store_flags` of this connector has done, and
    has told; they need not be in `changed`. Only of a cursor that is for one mailbox.
    """

    changed: tuple[MessageState, ...] = ()
    removed: tuple[MessageRef, ...] = ()
    present: frozenset[MessageRef] | None = None
    cursor: Cursor | None = None
    mailboxes_changed: bool = False
    echoes: frozenset[MessageRef] = frozenset()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of a write on several messages; the three groups together hold every ref that was asked for.

    `done` maps a ref to the state after the write: of the message itself for `store_flags`, of the copy for `copy` and
    `move` (whose own `ref` may differ from the key), and for `expunge` of a message that goes on in other mailboxes, if
    that is known. It is None where there is nothing left to say. The gateway takes `mailboxes` of these states at their
    word and does not wait for the changes to tell of a message that the write has put elsewhere as well.
    `missing` are refs that no longer exist. `failed` gives each other ref its reason.
    """

    done: Mapping[MessageRef, MessageState | None] = field(default_factory=dict)
    missing: frozenset[MessageRef] = frozenset()
    failed: Mapping[MessageRef, ConnectorError] = field(default_factory=dict)


class MessageContent(Protocol):
    """The octets of a message in transit, in whichever direction; never required to be in memory whole."""

    @property
    def size(self) -> int:
        """The exact number of octets that `chunks` yields."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets in order, in pieces of at most 1 MiB. May be called again to read anew."""


@dataclass(frozen=True, slots=True)
class BytesContent:
    """Message content that is in memory already."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 1 << 20):
            yield self.data[start : start + (1 << 20)]


@runtime_checkable
class DatedContent(MessageContent, Protocol):
    """Message content with which the backend gives the internal date, so that it need not be asked for that again."""

    @property
    def internal_date(self) -> datetime | None:
        """INTERNALDATE; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class DatedBytes(BytesContent):
    """Message content that is in memory already, with its date."""

    internal_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """What a backend can tell of a message without handing over its body.

    `header` is the raw header block with its closing empty line: octet for octet that of the message, unless
    `header_is_exact` is False. Then its fields and their values are right, but its octets need not be those that
    `fetch` serves; it is good for ENVELOPE and dates only, and for the rest the message is read whole.
    `body_structure` is the extensible BODYSTRUCTURE in the grammar of RFC 9051 section 9 (`body`), given only by a
    backend that computes it over the very octets it serves.
    """

    ref: MessageRef
    header: bytes
    size: int | None = None
    internal_date: datetime | None = None
    body_structure: bytes | None = None
    header_is_exact: bool = True


@dataclass(frozen=True, slots=True)
class PushEvent:
    """Something happened at the backend: in `mailbox`, or anywhere in the account if that is None."""

    mailbox: MailboxRef | None = None
