"""What X-GM-EXT-1 adds (https://developers.google.com/workspace/gmail/imap/imap-extensions): ids and labels.

A label of a user is named like its mailbox and written as one: an `astring` in modified UTF-7, or in UTF-8 where that
is enabled. A system label begins with a backslash.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from gateway.wire import mailbox_name
from gateway.wire.strings import astring

MAX_ID = (1 << 64) - 1
"""X-GM-MSGID and X-GM-THRID are 64-bit numbers without a sign."""


class SystemLabel(enum.Enum):
    """The labels that Gmail gives a meaning; the value is how they are written."""

    INBOX = "\\Inbox"
    SENT = "\\Sent"
    DRAFT = "\\Draft"
    STARRED = "\\Starred"
    IMPORTANT = "\\Important"
    TRASH = "\\Trash"
    SPAM = "\\Spam"


Label = SystemLabel | str
"""A system label, or the name of another one in Unicode with `/` between the levels."""

# Laxer than Gmail: the special uses of RFC 6154 for the same things, which clients take from LIST.
_SPELLINGS = {label.value.lower(): label for label in SystemLabel} | {
    "\\drafts": SystemLabel.DRAFT,
    "\\flagged": SystemLabel.STARRED,
    "\\junk": SystemLabel.SPAM,
}


def read_label(data: bytes, *, utf8: bool = False) -> Label:
    """Return the label that the octets name, quotes already undone. INBOX without a backslash is the system label too.

    Raises:
        ValueError: a system label that is unknown, or neither modified UTF-7 nor UTF-8.
    """
    name = mailbox_name.from_wire(data, utf8)
    if name.startswith("\\"):
        found = _SPELLINGS.get(name.lower())
        if found is None:
            raise ValueError("no such system label")
        return found
    return SystemLabel.INBOX if name == mailbox_name.INBOX else name


def label(value: Label, *, utf8: bool = False) -> bytes:
    """Return a label as an `astring`; a system label is quoted, as Gmail does it, since a backslash is in no atom."""
    name = value.value if isinstance(value, SystemLabel) else value
    return astring(mailbox_name.to_wire(name, utf8), utf8=utf8)


def label_list(values: Iterable[Label], *, utf8: bool = False) -> bytes:
    """Return what stands behind X-GM-LABELS: `("\\\\Inbox" Work)`."""
    return b"(%b)" % b" ".join(label(value, utf8=utf8) for value in values)


def number(value: int | None) -> bytes:
    """Return what stands behind X-GM-MSGID and X-GM-THRID; NIL for a message that has no such id."""
    return b"NIL" if value is None else b"%d" % value
