"""Choosing mailboxes in NOTIFY and ESEARCH (RFC 5465 section 6, RFC 7377 section 2.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FilterKind(enum.Enum):
    """Which mailboxes a filter means; those of `WITH_NAMES` are about the mailboxes that are named."""

    SELECTED = b"SELECTED"
    SELECTED_DELAYED = b"SELECTED-DELAYED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    SUBTREE_ONE = b"SUBTREE-ONE"
    MAILBOXES = b"MAILBOXES"


WITH_NAMES = frozenset({FilterKind.SUBTREE, FilterKind.SUBTREE_ONE, FilterKind.MAILBOXES})


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """`filter-mailboxes`. Names are not patterns: `*` and `%` in them mean themselves."""

    kind: FilterKind
    names: tuple[str, ...] = ()
