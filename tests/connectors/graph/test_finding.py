"""What failed appends leave to the next ones."""

from __future__ import annotations

from connectors.api.types import MailboxRef
from connectors.graph.finding import REPEATED_WITHIN_S, Attempt, Unsettled, new_mark

INBOX = MailboxRef("inbox")
ATTEMPT = Attempt("folder", "mark", None, 100.0)


def test_an_attempt_is_open_for_its_octets_in_its_mailbox_only() -> None:
    unsettled = Unsettled()
    unsettled.leave_open(INBOX, "digest", ATTEMPT)
    assert unsettled.open_for(INBOX, "digest", 101.0) == [ATTEMPT]
    assert unsettled.open_for(INBOX, "other", 101.0) == []
    assert unsettled.open_for(MailboxRef("other"), "digest", 101.0) == []
    unsettled.settle(INBOX, "digest")
    assert unsettled.open_for(INBOX, "digest", 101.0) == []


def test_after_a_while_the_same_octets_are_another_message() -> None:
    unsettled = Unsettled()
    unsettled.leave_open(INBOX, "digest", ATTEMPT)
    assert unsettled.open_for(INBOX, "digest", 101.0 + REPEATED_WITHIN_S) == []


def test_what_is_remembered_is_bounded() -> None:
    unsettled = Unsettled()
    for number in range(1000):
        unsettled.leave_open(INBOX, f"{number}", ATTEMPT)
        unsettled.leave_behind(f"{number}")
    assert len(unsettled.remains()) <= 200
    assert unsettled.open_for(INBOX, "0", 100.0) == []
    assert unsettled.open_for(INBOX, "999", 100.0) == [ATTEMPT]


def test_remains_are_named_until_they_are_cleared() -> None:
    unsettled = Unsettled()
    unsettled.leave_behind("a")
    unsettled.leave_behind("a")
    assert unsettled.remains() == ["a"]
    unsettled.cleared("a")
    unsettled.cleared("a")
    assert unsettled.remains() == []


def test_two_attempts_for_the_same_octets_are_told_apart() -> None:
    digest = "0123456789abcdef" * 4
    assert new_mark(digest) != new_mark(digest)
    assert new_mark(digest)[:32] == digest[:32]
