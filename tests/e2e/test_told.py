"""The checker of `tests.e2e.told` itself: it takes what is true, and finds what is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.e2e.raw_values import Data, Fetched, Numbered, Response, Status
from tests.e2e.told import Lie, Told

UIDNEXT = Status("*", "OK", "UIDNEXT 100", "")
DONE = Status("t1", "OK", "", "done")


def exists(number: int) -> Response:
    return Numbered(number, "EXISTS")


def expunge(number: int) -> Response:
    return Numbered(number, "EXPUNGE")


def vanished(uids: str) -> Response:
    return Data("VANISHED", (uids,))


def row(number: int, uid: int | None = None, *flags: str, modseq: int = 0) -> Response:
    items = {"FLAGS": flags} | ({} if uid is None else {"UID": uid}) | ({"MODSEQ": (modseq,)} if modseq else {})
    return Fetched(number, dict(items))


def selected(count: int, *, is_condstore: bool = False, is_qresync: bool = False) -> Told:
    told = Told(is_condstore=is_condstore, is_qresync=is_qresync)
    play(told, "SELECT INBOX", exists(count), Status("*", "OK", "UIDVALIDITY 7", ""), UIDNEXT, DONE)
    return told


def play(told: Told, command: str, *responses: Response) -> None:
    told.begin(command)
    for response in responses:
        told.feed(response)
    told.begin("")


def test_places_follow_from_what_was_told() -> None:
    told = selected(3)
    play(told, "FETCH 1:3 (UID FLAGS)", row(1, 10), row(2, 12, "\\Seen"), row(3, 15, "\\Seen", "\\Recent"), DONE)
    play(told, "NOOP", expunge(2), exists(3), row(3, 100), DONE)
    assert told.uids == [10, 15, 100]
    assert [place.flags for place in told.places] == [
        frozenset({frozenset()}),
        frozenset({frozenset({"\\Seen"})}),
        frozenset({frozenset()}),
    ]


@pytest.mark.parametrize(
    ("command", "responses"),
    [
        ("NOOP", [exists(2)]),
        ("NOOP", [expunge(4)]),
        ("NOOP", [expunge(1), expunge(1), row(2, 9)]),
        ("NOOP", [row(4, 20)]),
        ("NOOP", [vanished("5")]),
        ("FETCH 1:3 (UID)", [expunge(1)]),
        ("STORE 1 FLAGS ()", [expunge(1)]),
        ("SEARCH ALL", [expunge(1)]),
        ("", [expunge(1)]),
        ("NOOP", [row(1, 10), row(1, 11)]),
        ("NOOP", [row(1, 10), row(2, 10)]),
        ("NOOP", [row(2, 10), row(1, 11)]),
        ("NOOP", [row(3, 100)]),
        ("NOOP", [exists(4), row(4, 99)]),
        ("SEARCH ALL", [Data("SEARCH", (1, 4))]),
        ("UID SEARCH ALL", [Data("SEARCH", (8, 4))]),
    ],
)
def test_what_contradicts_it_is_found(command: str, responses: Sequence[Response]) -> None:
    with pytest.raises(Lie):
        play(selected(3), command, *responses)


def test_uid_commands_may_be_answered_with_expunges() -> None:
    told = selected(3)
    for command in ("UID FETCH 1:* (FLAGS)", "UID STORE 1 FLAGS ()", "UID SEARCH ALL"):
        play(told, command, expunge(1), DONE)
    assert len(told) == 0


def test_a_mod_sequence_never_falls_and_comes_with_all_flags() -> None:
    told = selected(2, is_condstore=True)
    play(told, "NOOP", row(1, 10, modseq=5), row(1, 10, modseq=5), row(1, 10, modseq=6), DONE)
    with pytest.raises(Lie, match="MODSEQ fell"):
        play(told, "NOOP", row(1, 10, modseq=5))
    with pytest.raises(Lie, match="without MODSEQ"):
        play(told, "UID STORE 10 FLAGS ()", row(1, 10))
    play(told, "FETCH 1 (FLAGS)", row(1, 10), DONE)


def test_highestmodseq_never_falls_not_even_from_one_select_to_the_next() -> None:
    told = selected(1)
    uidvalidity, high = Status("*", "OK", "UIDVALIDITY 7", ""), Status("*", "OK", "HIGHESTMODSEQ 9", "")
    low = Status("*", "OK", "HIGHESTMODSEQ 8", "")
    play(told, "SELECT INBOX", exists(1), uidvalidity, high, DONE)
    play(told, "SELECT Other", exists(1), Status("*", "OK", "UIDVALIDITY 8", ""), low, DONE)
    with pytest.raises(Lie, match="was 9 before"):
        play(told, "SELECT INBOX", exists(1), uidvalidity, low, DONE)


def test_vanished_takes_the_only_message_that_it_can_mean() -> None:
    told = selected(3, is_qresync=True)
    play(told, "NOOP", row(1, 10, modseq=1), row(3, 20, modseq=1), DONE)
    with pytest.raises(Lie, match="instead of VANISHED"):
        play(told, "NOOP", expunge(1))
    with pytest.raises(Lie, match="was not there"):
        play(told, "NOOP", vanished("9"))
    play(told, "NOOP", vanished("11,20"), DONE)
    assert told.uids == [10]
    assert len(told) == 1


def test_vanished_of_one_of_several_forgets_what_was_told_by_number() -> None:
    told = selected(3, is_qresync=True)
    play(told, "FETCH 1:2 (FLAGS)", row(1, None, "\\Seen"), row(2), DONE)
    play(told, "NOOP", vanished("50"), DONE)
    assert [place.flags for place in told.places] == [None, None]
    play(told, "NOOP", exists(3), vanished("100"), DONE)
    assert not any(place.is_new for place in told.places)


def test_vanished_is_held_back_where_numbers_are_in_use() -> None:
    for command in ("FETCH 1 (UID)", "UID SEARCH 1", ""):
        with pytest.raises(Lie):
            play(selected(3, is_qresync=True), command, vanished("5"))


def test_in_qresync_what_was_not_asked_for_names_its_uid() -> None:
    with pytest.raises(Lie, match="without UID"):
        play(selected(1, is_qresync=True), "NOOP", row(1, modseq=4))


@pytest.mark.parametrize(
    ("count", "responses", "outcome"),
    [
        (2, [Data("VANISHED", ("EARLIER", "12"))], [10, 15]),
        (4, [row(4, 100, modseq=8)], [10, 12, 15, 100]),
        (2, [Data("VANISHED", ("EARLIER", "10:12")), row(2, 99, modseq=8)], [15, 99]),
        (2, [], None),
        (4, [], None),
        (3, [Data("VANISHED", ("EARLIER", "12")), row(1, 99, modseq=8)], None),
    ],
)
def test_after_qresync_exactly_all_is_known(
    count: int, responses: Sequence[Response], outcome: list[int] | None
) -> None:
    told = selected(3, is_qresync=True)
    rows = [row(number, uid, modseq=1) for number, uid in ((1, 10), (2, 12), (3, 15))]
    play(told, "UID FETCH 1:* (FLAGS MODSEQ)", *rows, DONE)
    uidvalidity = Status("*", "OK", "UIDVALIDITY 7", "")
    play(told, "SELECT INBOX (QRESYNC (7 1))", exists(count), uidvalidity, *responses, DONE)
    if outcome is None:
        with pytest.raises(Lie):
            told.resume(7)
        return
    told.resume(7)
    assert told.uids == outcome
    assert all(place.flags is not None for place in told.places)
