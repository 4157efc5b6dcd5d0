"""What an Email of JMAP is to the contract."""

from __future__ import annotations

import re

from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.jmap.keywords import flags_of
from connectors.jmap.structs import Email

STATE_PROPERTIES = ("id", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
"""What `state_of` needs; all of it is metadata that servers have at hand (RFC 8621 section 4.1.1)."""

_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def state_of(email: Email, *, tells_mailboxes: bool) -> MessageState:
    """Return the state of a message. Size and date are exact and never change (RFC 8621 section 4.1.1).

    `tells_mailboxes` is false where the contract wants no word of membership: from a backend that holds a message in
    one mailbox only, when one mailbox was asked.
    """
    return MessageState(
        ref=MessageRef(email.id),
        mailboxes=mailboxes_of(email) if tells_mailboxes and email.mailbox_ids is not None else None,
        flags=None if email.keywords is None else flags_of(email.keywords),
        internal_date=email.received(),
        size=email.size,
        email_id=object_id(email.id),
        thread_id=object_id(email.thread_id),
    )


def mailboxes_of(email: Email) -> frozenset[MailboxRef]:
    """Return the mailboxes that the message is in."""
    return frozenset(MailboxRef(ref) for ref, is_in in (email.mailbox_ids or {}).items() if is_in)


def object_id(value: str | None) -> str | None:
    """Return the id if IMAP can show it as it is; ids of both protocols have the same characters.

    Source: RFC 8620 section 1.2, RFC 8474 section 7 (objectid).
    """
    return value if value is not None and _OBJECT_ID.fullmatch(value) else None
