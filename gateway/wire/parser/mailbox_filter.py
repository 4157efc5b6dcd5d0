"""`filter-mailboxes` (RFC 5465 section 8, RFC 7377 section 4)."""

from __future__ import annotations

from collections.abc import Container

from gateway.wire.mailbox_filter import WITH_NAMES, FilterKind, MailboxFilter
from gateway.wire.parser.cursor import Cursor, SyntaxFault

_KINDS = {kind.value: kind for kind in FilterKind}


def read_filter(cursor: Cursor, allowed: Container[FilterKind]) -> MailboxFilter:
    """Read a filter of one of the kinds allowed; a mailbox named twice is meant once."""
    kind = _KINDS.get(cursor.word())
    if kind is None or kind not in allowed:
        raise SyntaxFault("Unknown mailbox filter")
    if kind not in WITH_NAMES:
        return MailboxFilter(kind)
    cursor.space()
    names = cursor.in_parentheses(cursor.mailbox) if cursor.peek() == b"(" else [cursor.mailbox()]
    return MailboxFilter(kind, tuple(dict.fromkeys(names)))
