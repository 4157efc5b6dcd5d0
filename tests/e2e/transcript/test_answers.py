"""What is made equal in answers, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.e2e.transcript.answers import canonical


def said(*lines: bytes, command: str = "NOOP") -> list[str]:
    return canonical(lines, command)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'* LIST (\\HasChildren \\Sent) "/" box', b'* LIST (\\Sent \\HasChildren) "/" {3}\r\nbox'),
        (b"t1 OK [READ-WRITE] done", b"t9 OK [read-write] all done (0.1 s)"),
        (b"* 3 FETCH (UID 4 FLAGS (\\Seen \\Recent Foo))", b"* 3 FETCH (FLAGS (Foo \\Seen))"),
        (b"* STATUS box (MESSAGES 1 UIDVALIDITY 5)", b'* STATUS "box" (UIDVALIDITY 77 MESSAGES 1)'),
        (b"t1 OK [COPYUID 8 1:3 4:6]", b"t1 OK [COPYUID 9 1,2,3 4,5,6]"),
        (b'* ESEARCH (TAG "t1") COUNT 2 ALL 1:2', b'* ESEARCH (TAG "t2") ALL 1,2 COUNT 2'),
        (b"* SEARCH 2 1 (MODSEQ 5)", b"* SEARCH 1 2 (MODSEQ 917162500)"),
        (b"* 1 FETCH (MODSEQ (5))", b"* 1 FETCH (MODSEQ (99))"),
        (
            b'* 1 FETCH (INTERNALDATE " 1-Feb-2024 10:00:00 +0000")',
            b'* 1 FETCH (INTERNALDATE "01-Feb-2024 12:00:00 +0200")',
        ),
        (
            b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1))',
            b'* 1 FETCH (BODY ("text" "plain" NIL NIL NIL "7bit" 1 1))',
        ),
        (b"* FLAGS (\\Seen Foo)", b"* FLAGS (\\Seen)"),
    ],
)
def test_what_means_the_same_is_written_the_same(one: bytes, other: bytes) -> None:
    assert said(one) == said(other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"t1 NO [NONEXISTENT] no", b"t1 NO no"),
        (b"t1 OK done", b"t1 BAD done"),
        (b"* 1 FETCH (FLAGS (\\Seen))", b"* 2 FETCH (FLAGS (\\Seen))"),
        (b'* 1 FETCH (BODY[1] "a")', b"* 1 FETCH (BODY[1] NIL)"),
        (b'* 1 FETCH (BODY[1] "NIL")', b"* 1 FETCH (BODY[1] NIL)"),
        (b"* 1 FETCH (THREADID NIL)", b"* 1 FETCH (THREADID (T1))"),
        (b"* THREAD (1 2)", b"* THREAD (1)(2)"),
        (b"* SORT 1 2", b"* SORT 2 1"),
        (b"t1 OK [COPYUID 8 1:2 4:5]", b"t1 OK [COPYUID 8 1:2 5,4]"),
        (b'* LIST () "/" box', b'* LIST () "." box'),
    ],
)
def test_what_means_something_else_is_not(one: bytes, other: bytes) -> None:
    assert said(one) != said(other)


def test_expunges_are_told_by_the_numbers_from_before_them() -> None:
    up = said(b"* 2 EXPUNGE", b"* 2 EXPUNGE", b"* 4 EXPUNGE", b"t1 OK")
    down = said(b"* 6 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"t1 OK")
    assert up == down == ["* EXPUNGE 2:3,6", "OK"]


def test_what_comes_before_an_expunge_does_not_come_after_it() -> None:
    before = said(b"* 2 FETCH (FLAGS ())", b"* 1 EXPUNGE")
    after = said(b"* 1 EXPUNGE", b"* 2 FETCH (FLAGS ())")
    assert before == ["* 2 FETCH (FLAGS ())", "* EXPUNGE 1"]
    assert after == ["* EXPUNGE 1", "* 2 FETCH (FLAGS ())"]


def test_items_of_a_message_may_come_in_several_responses() -> None:
    answers = said(b"* 1 FETCH (UID 7)", b"* 1 FETCH (FLAGS ())", command="UID FETCH 7 FLAGS")
    assert answers == ["* 1 FETCH (FLAGS () UID 7)"]


def test_a_date_of_now_is_no_date_of_its_own() -> None:
    now = datetime.now(UTC).strftime("%d-%b-%Y %H:%M:%S %z").encode()
    assert said(b'* 1 FETCH (SAVEDATE "%b")' % now) == ["* 1 FETCH (SAVEDATE <now>)"]


def test_a_text_for_people_says_nothing() -> None:
    assert said(b"* OK Still here", b"* 0 RECENT", b"t1 OK {5}") == ["OK"]
