"""What is remembered of messages, and when it must be forgotten."""

from __future__ import annotations

from connectors.gmail.known import MAX_GONE, MAX_SIZES, Known

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
