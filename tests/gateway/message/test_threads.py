from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.threads import Columns, Threads, by_references, by_references_only, by_subject, tokens
from gateway.wire.write_sort import thread as written


def columns(*messages: tuple[int, str, str, str]) -> Columns:
    """Each message is (sent, subject, id, references); `re ` in front of a subject marks a reply."""
    return Columns(
        [message[0] for message in messages],
        [message[1].removeprefix("re ") for message in messages],
        [int(message[1].startswith("re ")) for message in messages],
        [message[2] for message in messages],
        [message[3] for message in messages],
    )


def shape(threads: Threads) -> list[object]:
    """A thread is its number, or a list of the number and its answers; None stands for a message that is not there."""

    def shown(nodes: Sequence[int]) -> list[object]:
        found: list[object] = []
        for node in nodes:
            number = node if node < threads.count else None
            found.append([number, *shown(threads.answers[node])] if node in threads.answers else number)
        return found

    return shown(threads.roots)


def test_ordered_subject() -> None:
    found = by_subject(columns((3, "a", "", ""), (1, "b", "", ""), (2, "re a", "", ""), (1, "a", "", "")), range(4))
    assert shape(found) == [1, [3, 2, 0]]


def test_only_what_was_searched_for_is_threaded() -> None:
    known = columns((1, "a", "1", ""), (2, "re a", "2", "1"), (3, "re a", "3", "1 2"))
    assert shape(by_references(known, [0, 2])) == [[0, 2]]
    assert shape(by_subject(known, [1, 2])) == [[1, 2]]
    assert shape(by_references(known, [])) == []


def test_answers_follow_their_parents_in_order_of_dispatch() -> None:
    known = columns((1, "a", "1", ""), (4, "re a", "2", "1"), (3, "re a", "3", "1"), (5, "re a", "4", "1 3"))
    assert shape(by_references(known, range(4))) == [[0, [2, 3], 1]]


def test_siblings_of_a_parent_that_is_not_there_stay_together() -> None:
    known = columns((2, "x", "2", "1"), (1, "y", "3", "1"))
    assert shape(by_references(known, range(2))) == [[None, 1, 0]]


def test_a_parent_that_is_not_there_leaves_an_only_child_alone() -> None:
    known = columns((2, "x", "2", "0 1"), (3, "x", "3", "0 1 2"))
    assert shape(by_references(known, range(2))) == [[0, 1]]


def test_a_missing_link_below_the_top_is_left_out() -> None:
    known = columns((1, "x", "1", ""), (2, "x", "3", "1 2"), (3, "x", "4", "1 2"))
    assert shape(by_references(known, range(3))) == [[0, 1, 2]]


def test_loops_are_not_made() -> None:
    known = columns((1, "x", "1", "2"), (2, "y", "2", "1"), (3, "z", "3", "3"))
    assert sorted(flat(by_references(known, range(3)))) == [0, 1, 2]


def test_the_first_message_of_an_id_has_it() -> None:
    known = columns((1, "x", "1", ""), (2, "y", "1", ""), (3, "z", "2", "1"))
    assert shape(by_references(known, range(3))) == [[0, 2], 1]


def test_the_last_reference_is_the_parent_whatever_others_said() -> None:
    known = columns((1, "", "1", ""), (2, "", "2", ""), (4, "", "4", "1 3"), (3, "", "3", "2"))
    assert shape(by_references(known, range(4))) == [0, [1, [3, 2]]]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # A reply without references comes below what it answers.
        ([(1, "a", "1", ""), (2, "re a", "2", "")], [[0, 1]]),
        ([(2, "a", "1", ""), (1, "re a", "2", "")], [[0, 1]]),
        # Two that are no replies, or two that are, stand side by side.
        ([(1, "a", "1", ""), (2, "a", "2", "")], [[None, 0, 1]]),
        ([(1, "re a", "1", ""), (2, "re a", "2", "")], [[None, 0, 1]]),
        # Threads whose head is missing are joined.
        ([(1, "a", "2", "1"), (2, "a", "3", "1"), (3, "a", "5", "4"), (4, "a", "6", "4")], [[None, 0, 1, 2, 3]]),
        ([(1, "a", "2", "1"), (2, "a", "3", "1"), (3, "re a", "5", "")], [[None, 0, 1, 2]]),
        # Nothing is known of two without a subject.
        ([(1, "", "1", ""), (2, "re ", "2", "")], [0, 1]),
    ],
)
def test_threads_of_one_subject_are_joined(messages: list[tuple[int, str, str, str]], expected: list[object]) -> None:
    assert shape(by_references(columns(*messages), range(len(messages)))) == expected


def test_refs_keeps_subjects_apart_and_the_latest_thread_last() -> None:
    known = columns((1, "a", "1", ""), (2, "re a", "2", ""), (9, "b", "3", "1"))
    assert shape(by_references_only(known, range(3))) == [1, [0, 2]]


def test_a_thread_may_be_very_deep() -> None:
    many = 20_000
    known = columns(*((number, "re x", str(number), str(number - 1) if number else "") for number in range(many)))
    threads = by_references(known, range(many))
    (node,) = threads.roots
    depth = 0
    while node in threads.answers:
        (node,) = threads.answers[node]
        depth += 1
    assert depth == many - 1
    assert len(tokens(threads)) == 2 * many + 1


MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["", "a", "b", "re a", "re b", "re "]),
        st.sampled_from(["", *"123456"]),
        st.lists(st.sampled_from("123456"), max_size=4, unique=True).map(" ".join),
    ),
    max_size=12,
)


@given(MESSAGES)
def test_every_message_is_told_once(messages: list[tuple[int, str, str, str]]) -> None:
    known, everything = columns(*messages), list(range(len(messages)))
    for thread in (by_subject, by_references, by_references_only):
        found = thread(known, everything)
        assert sorted(flat(found)) == everything
        assert all(len(found.answers[node]) > 1 for node in found.roots if node >= found.count)


def flat(threads: Threads) -> Iterator[int]:
    waiting = list(threads.roots)
    while waiting:
        node = waiting.pop()
        if node < threads.count:
            yield node
        waiting += threads.answers.get(node, ())


def test_threads_are_written_as_in_the_rfc() -> None:
    # RFC 5256 section 4.
    deep = Threads(100, [2, 3], {3: [6], 6: [4, 44], 4: [23], 44: [7], 7: [96]})
    assert written(tokens(deep), range(100)) == b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    assert written(tokens(Threads(100, [100], {100: [3, 5]})), range(100)) == b"* THREAD ((3)(5))\r\n"
    assert written(tokens(Threads(0, [], {})), []) == b"* THREAD\r\n"
    assert written(tokens(Threads(1, [0], {})), [17]) == b"* THREAD (17)\r\n"
