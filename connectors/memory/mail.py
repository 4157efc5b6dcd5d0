"""Messages and mailboxes as they are held in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from connectors.api.types import MailboxRef, MessageRef, Role

Path = tuple[str, ...]


@dataclass(slots=True)
class Message:
    """A stored message. `refs` gives the id it has in each mailbox; `thread` is the id of its thread's first.

    `born` and `altered` are serial numbers of the journal: when it came, and when its octets were last replaced.
    """

    ident: MessageRef
    data: bytes
    flags: frozenset[str]
    internal_date: datetime
    refs: dict[MailboxRef, MessageRef] = field(default_factory=dict)
    thread: MessageRef | None = None
    born: int = 0
    altered: int = 0


@dataclass(slots=True)
class Mailbox:
    """A mailbox; `messages` are in the order of arrival."""

    ref: MailboxRef
    path: Path
    role: Role | None
    uidvalidity: int
    uidnext: int = 1
    is_subscribed: bool = True
    is_read_only: bool = False
    messages: dict[MessageRef, Message] = field(default_factory=dict)
