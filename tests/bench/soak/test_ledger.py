from __future__ import annotations

import pytest

from bench.soak.ledger import DELETED, Copy, Found, Ledger, Verdict

ID = "<1@soak.example.org>"
SEEN = frozenset({"\\Seen"})
NONE: frozenset[str] = frozenset()


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def ledger(reports: list[str]) -> Ledger:
    return Ledger("user0", reports.append)


def stored(ledger: Ledger, mailbox: str = "INBOX", uid: int = 7) -> Copy:
    """Return a copy whose APPEND was acknowledged."""
    copy = ledger.appending(ID, b"octets", mailbox, SEEN)
    ledger.arrived(copy, mailbox, 100, uid)
    return copy


def judged(ledger: Ledger, *found: Found) -> Verdict:
    return ledger.compare({ID: found} if found else {})


AT_7 = Found("INBOX", 7, SEEN)
AT_8 = Found("INBOX", 8, SEEN)
WORK = Found("Work", 3, SEEN)


def test_an_acknowledged_message_is_there_once(ledger: Ledger) -> None:
    stored(ledger)
    assert judged(ledger, AT_7) == Verdict()
    assert len(judged(ledger).lost) == 1
    assert len(judged(ledger, AT_7, AT_8).doubled) == 1
    assert len(judged(ledger, AT_8).misplaced) == 1
    assert len(judged(ledger, Found("INBOX", 7, NONE)).wrong_flags) == 1


def test_an_unacknowledged_message_is_there_once_at_most(ledger: Ledger) -> None:
    ledger.appending(ID, b"octets", "INBOX", SEEN)
    assert judged(ledger) == judged(ledger, AT_7) == Verdict()
    assert len(judged(ledger, AT_7, AT_8).doubled) == 1


def test_a_message_that_nobody_stored_is_a_finding(ledger: Ledger) -> None:
    assert len(judged(ledger, AT_7).unknown) == 1


def test_an_acknowledged_expunge_holds(ledger: Ledger) -> None:
    copy = stored(ledger)
    ledger.storing(copy, SEEN | {DELETED})
    ledger.stored(copy, SEEN | {DELETED})
    # Anybody's EXPUNGE may take it from now on.
    assert judged(ledger) == judged(ledger, Found("INBOX", 7, SEEN | {DELETED})) == Verdict()
    ledger.expunged(copy)
    assert judged(ledger) == Verdict()
    assert len(judged(ledger, AT_7).doubled) == 1


def test_a_store_without_an_answer_leaves_two_possibilities(ledger: Ledger) -> None:
    copy = stored(ledger)
    ledger.storing(copy, NONE)
    assert not copy.is_usable
    assert judged(ledger, AT_7) == judged(ledger, Found("INBOX", 7, NONE)) == Verdict()
    assert len(judged(ledger, Found("INBOX", 7, frozenset({"\\Flagged"}))).wrong_flags) == 1


def test_a_copy_is_one_more_of_the_same_message(ledger: Ledger) -> None:
    copy = ledger.copying(stored(ledger), "Work")
    assert judged(ledger, AT_7) == judged(ledger, AT_7, WORK) == Verdict()
    ledger.arrived(copy, "Work", 200, 3)
    assert judged(ledger, AT_7, WORK) == Verdict()
    assert len(judged(ledger, AT_7).lost) == 1
    assert len(judged(ledger, AT_7, AT_8).misplaced) == 1


def test_an_acknowledged_move_is_whole(ledger: Ledger) -> None:
    copy = stored(ledger)
    echo = ledger.moving(copy, "Work")
    ledger.moved(copy, echo, "Work", 200, 3)
    assert judged(ledger, WORK) == Verdict()
    assert len(judged(ledger, AT_7).misplaced) == 1
    assert len(judged(ledger, AT_7, WORK).doubled) == 1


def test_a_move_without_an_answer_may_be_half_done_but_loses_nothing(ledger: Ledger) -> None:
    ledger.moving(stored(ledger), "Work")
    assert judged(ledger, AT_7) == judged(ledger, WORK) == Verdict()
    half = judged(ledger, AT_7, WORK)
    assert len(half.half_moved) == 1
    assert half.violations() == []
    assert len(judged(ledger).lost) == 1
    assert len(judged(ledger, AT_7, WORK, Found("Work", 4, SEEN)).doubled) == 1


def test_a_uid_and_uidvalidity_are_for_ever(ledger: Ledger, reports: list[str]) -> None:
    stored(ledger)
    ledger.saw("INBOX", 7, ID)
    ledger.saw_mailbox("INBOX", 100)
    ledger.saw_content("INBOX", 7, ID, b"octets")
    assert reports == []
    ledger.saw("INBOX", 7, "<2@soak.example.org>")
    ledger.saw_mailbox("INBOX", 101)
    ledger.saw_content("INBOX", 7, ID, b"other")
    assert len(reports) == 3
