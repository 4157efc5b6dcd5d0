"""What is remembered of messages, and when it must be forgotten."""

from __future__ import annotations

from connectors.gmail.known import MAX_GONE, MAX_MARKED, MAX_SIZES, Known

INBOX = frozenset({"INBOX"})


def test_nothing_is_learned_before_it_is_known_as_of_when() -> None:
    known = Known()
    known.learn("1", INBOX, known.as_of)
    assert known.labels("1") is None


def test_labels_are_learned_altered_doubted_and_forgotten() -> None:
    known = Known()
    known.begin_at(100)
    known.learn("1", INBOX, known.as_of)
    known.alter(["1", "2"], frozenset({"STARRED"}), INBOX, 100)
    assert known.labels("1") == frozenset({"STARRED"})
    assert known.labels("2") is None
    known.doubt("1")
    assert (known.labels("1"), known.is_gone("1")) == (None, False)
    known.forget(["1"])
    assert known.is_gone("1")


def test_what_is_older_than_the_position_is_forgotten() -> None:
    known = Known()
    known.begin_at(100)
    known.learn("1", INBOX, known.as_of)
    known.begin_at(100)
    known.begin_at(50)
    assert known.labels("1") == INBOX
    known.begin_at(101)
    assert known.labels("1") is None
    assert known.as_of == 101


def test_memory_is_bounded() -> None:
    known = Known(limit=3)
    known.begin_at(1)
    for number in range(5):
        known.learn(str(number), INBOX, 1)
    assert len(known) == 3
    assert [known.labels(str(number)) is not None for number in range(5)] == [False, False, True, True, True]
    for number in range(MAX_SIZES + 1):
        known.learn_size(str(number), number)
    assert known.size("0") is None
    assert known.size(str(MAX_SIZES)) == MAX_SIZES
    known.forget(map(str, range(MAX_GONE + 1)))
    assert not known.is_gone("0")
    assert known.is_gone(str(MAX_GONE))


def test_what_was_asked_for_before_the_history_was_followed_is_not_learned_after_it() -> None:
    known = Known()
    known.begin_at(100)
    since = known.as_of
    known.learn("1", INBOX, since)
    known.as_of = 120
    known.learn("2", INBOX, since)
    assert known.labels("2") is None
    known.alter(["1"], frozenset({"STARRED"}), frozenset(), since)
    assert known.labels("1") is None


def test_marks_of_our_own_are_remembered_of_messages_that_are_not_known() -> None:
    known = Known()
    known.begin_at(100)
    known.learn("known", INBOX, 100)
    known.mark(["known", "read", "told", "learned", "gone"], is_unread=False)
    known.mark(["unread"], is_unread=True)
    known.unmark(["told"])
    known.learn("learned", INBOX, 100)
    known.forget(["gone"])
    assert known.is_marked("read", is_unread=False)
    assert known.is_marked("unread", is_unread=True)
    assert not known.is_marked("read", is_unread=True)
    assert not any(known.is_marked(key, is_unread=False) for key in ("known", "told", "learned", "gone", "unread", "x"))


def test_marks_are_forgotten_with_all_else_and_when_anything_may_have_been_told() -> None:
    known = Known()
    known.begin_at(100)
    known.mark(["1"], is_unread=False)
    known.unmark()
    assert not known.is_marked("1", is_unread=False)
    known.mark(["1"], is_unread=False)
    known.restart(None)
    assert not known.is_marked("1", is_unread=False)
    known.mark(map(str, range(MAX_MARKED + 1)), is_unread=False)
    assert not known.is_marked("0", is_unread=False)
    assert known.is_marked(str(MAX_MARKED), is_unread=False)
