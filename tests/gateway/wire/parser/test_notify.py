from __future__ import annotations

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.fetch import BodySection, FetchAttribute, Section, SectionText
from gateway.wire.mailbox_filter import FilterKind, MailboxFilter
from gateway.wire.notify import Event, EventGroup, Notify
from tests.gateway.wire.reading import parse, refusal

COUNTS = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})
ALL = COUNTS | {Event.FLAG_CHANGE}
HEADER = BodySection(
    Section(text=SectionText.HEADER_FIELDS, fields=(b"from", b"to", b"subject")), partial=None, is_peek=True
)


def group(kind: FilterKind, events: frozenset[Event] = frozenset(), *names: str) -> EventGroup:
    return EventGroup(MailboxFilter(kind, names), events)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"NOTIFY NONE", Notify()),
        # RFC 5465 section 6
        (
            b"notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))",
            Notify(
                (
                    group(FilterKind.MAILBOXES, COUNTS, "INBOX"),
                    group(FilterKind.PERSONAL, frozenset({Event.SUBSCRIPTION_CHANGE})),
                )
            ),
        ),
        (
            b"notify set (selected (Messagenew (uid flags) messageExpunge)) "
            b"(personal (MessageNew FlagChange MessageExpunge))",
            Notify(
                (
                    EventGroup(MailboxFilter(FilterKind.SELECTED), COUNTS, (FetchAttribute.UID, FetchAttribute.FLAGS)),
                    group(FilterKind.PERSONAL, ALL),
                )
            ),
        ),
        # Section 3.1 leaves the inner parentheses out (its group for Lists lacks MessageExpunge, besides).
        (
            b"notify set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)"
            b" (subtree Lists MessageNew MessageExpunge)",
            Notify(
                (
                    EventGroup(MailboxFilter(FilterKind.SELECTED), COUNTS, (FetchAttribute.UID, HEADER)),
                    group(FilterKind.SUBTREE, COUNTS, "Lists"),
                ),
                wants_status=True,
            ),
        ),
        (
            b"NOTIFY SET (selected-delayed NONE) (subscribed (MailboxName)) (inboxes NONE) "
            b"(mailboxes (a b) (MailboxMetadataChange)) (subtree-one c (ServerMetadataChange))",
            Notify(
                (
                    group(FilterKind.SELECTED_DELAYED),
                    group(FilterKind.SUBSCRIBED, frozenset({Event.MAILBOX_NAME})),
                    group(FilterKind.INBOXES),
                    group(FilterKind.MAILBOXES, frozenset({Event.MAILBOX_METADATA_CHANGE}), "a", "b"),
                    group(FilterKind.SUBTREE_ONE, frozenset({Event.SERVER_METADATA_CHANGE}), "c"),
                )
            ),
        ),
    ],
)
def test_commands(line: bytes, command: Notify) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"NOTIFY",
        b"NOTIFY SET",
        b"NOTIFY SET STATUS",
        b"NOTIFY NONE NONE",
        b"NOTIFY SET (personal)",
        b"NOTIFY SET (personal ())",
        b"NOTIFY SET (nowhere NONE)",
        b"NOTIFY SET (mailboxes () NONE)",
        b"NOTIFY SET (selected NONE) (selected-delayed NONE)",
        # Events that must come together
        b"NOTIFY SET (subtree Lists MessageNew)",
        b"NOTIFY SET (personal (MessageExpunge))",
        b"NOTIFY SET (personal (MessageNew FlagChange))",
        b"NOTIFY SET (personal (FlagChange))",
        # Where they do not belong
        b"NOTIFY SET (selected (MailboxName))",
        b"NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        b"NOTIFY SET (selected (MessageNew () MessageExpunge))",
        b"NOTIFY SET (selected (MessageNew (NONSENSE) MessageExpunge))",
    ],
)
def test_what_makes_no_sense_is_bad(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize("event", [b"AnnotationChange", b"VendorEvent"])
def test_events_that_are_not_supported_are_told_with_those_that_are(event: bytes) -> None:
    refused = refusal(b"NOTIFY SET (personal (MessageNew MessageExpunge %b))" % event)
    assert (refused.status, refused.code) == (Status.NO, Code.BADEVENT)
    assert refused.arguments == (
        b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange"
        b" ServerMetadataChange)"
    )
