"""What a client wants to be told of without asking (RFC 5465)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.wire.fetch import FetchItem
from gateway.wire.mailbox_filter import MailboxFilter


class Event(enum.Enum):
    """The events that can be asked for; the value is as the BADEVENT code lists it."""

    MESSAGE_NEW = b"MessageNew"
    MESSAGE_EXPUNGE = b"MessageExpunge"
    FLAG_CHANGE = b"FlagChange"
    MAILBOX_NAME = b"MailboxName"
    SUBSCRIPTION_CHANGE = b"SubscriptionChange"
    MAILBOX_METADATA_CHANGE = b"MailboxMetadataChange"
    SERVER_METADATA_CHANGE = b"ServerMetadataChange"


MESSAGE_EVENTS = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE})
"""Events of messages: MESSAGE_NEW and MESSAGE_EXPUNGE come together, FLAG_CHANGE only with both (section 5)."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    """The events wanted of some mailboxes; `items` are to be fetched of each new message of the selected one."""

    mailboxes: MailboxFilter
    events: frozenset[Event] = frozenset()
    items: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET, or NOTIFY NONE if there are no groups. `wants_status`: how mailboxes are now is to be told first."""

    groups: tuple[EventGroup, ...] = ()
    wants_status: bool = False
