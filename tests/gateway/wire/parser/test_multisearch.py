from __future__ import annotations

import pytest

from gateway.wire.mailbox_filter import FilterKind, MailboxFilter
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import And, HasFlag, HeaderContains, InSequence, PartialRange, SearchReturn
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import parse, refusal

UNSEEN = HasFlag("\\Seen", is_set=False)


def named(kind: FilterKind, *names: str) -> MailboxFilter:
    return MailboxFilter(kind, names)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 7377 section 3
        (
            b'ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen',
            MultiSearch(UNSEEN, (named(FilterKind.MAILBOXES, "folder1"), named(FilterKind.SUBTREE, "folder2"))),
        ),
        (
            b'ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"',
            MultiSearch(
                HeaderContains("subject", "chad"),
                (named(FilterKind.MAILBOXES, "folder1"), named(FilterKind.SUBTREE_ONE, "folder2")),
            ),
        ),
        # Section 2, without its "UID", which is a mistake there.
        (
            b'ESEARCH FROM "frobozz" 1:100',
            MultiSearch(And((HeaderContains("from", "frobozz"), InSequence(SequenceSet(((1, 100),)))))),
        ),
        (b"ESEARCH UNSEEN", MultiSearch(UNSEEN)),
        (
            b"ESEARCH IN (selected personal INBOXES subscribed) RETURN (MIN COUNT) CHARSET utf-8 UNSEEN",
            MultiSearch(
                UNSEEN,
                (
                    named(FilterKind.SELECTED),
                    named(FilterKind.PERSONAL),
                    named(FilterKind.INBOXES),
                    named(FilterKind.SUBSCRIBED),
                ),
                frozenset({SearchReturn.MIN, SearchReturn.COUNT}),
                "UTF-8",
            ),
        ),
        (
            b"ESEARCH IN (personal) RETURN (PARTIAL -1:-10 COUNT) UNSEEN",
            MultiSearch(
                UNSEEN,
                (named(FilterKind.PERSONAL),),
                frozenset({SearchReturn.PARTIAL, SearchReturn.COUNT}),
                None,
                PartialRange(-1, -10),
            ),
        ),
        (
            b"ESEARCH IN (mailboxes (inbox {3}\r\na b inbox) mailboxes inbox) RETURN () UNSEEN",
            MultiSearch(UNSEEN, (named(FilterKind.MAILBOXES, "INBOX", "a b"), named(FilterKind.MAILBOXES, "INBOX"))),
        ),
    ],
)
def test_commands(line: bytes, command: MultiSearch) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"ESEARCH",
        b"UID ESEARCH ALL",
        b"ESEARCH IN () ALL",
        b"ESEARCH IN (personal)",
        b"ESEARCH IN personal ALL",
        b"ESEARCH IN (selected-delayed) ALL",
        b"ESEARCH IN (mailboxes) ALL",
        b"ESEARCH IN (mailboxes ()) ALL",
        b"ESEARCH IN (everywhere) ALL",
        b"ESEARCH IN (personal (DEPTH 3)) ALL",
        b"ESEARCH RETURN (COUNT) IN (personal) ALL",
    ],
)
def test_what_is_not_grammatical_is_refused(line: bytes) -> None:
    refusal(line)
