"""What is remembered of where messages are."""

from __future__ import annotations

from connectors.api.types import MailboxRef, MessageRef
from connectors.graph.known import MAX_STRAYS, Known

A, B = MailboxRef("a"), MailboxRef("b")
M, N = MessageRef("m"), MessageRef("n")


def test_nothing_is_known_of_a_folder_that_was_not_listed() -> None:
    known = Known()

    assert known.was_in(M, A) is None
    known.put([M], A)
    assert known.was_in(M, A) is True
    assert known.was_in(M, B) is None
    assert known.was_in(N, A) is None


def test_what_a_listed_folder_did_not_name_is_not_in_it() -> None:
    known = Known()
    known.put([N], A)
    known.listed([M], A)

    assert known.was_in(M, A) is True
    assert known.was_in(N, A) is False


def test_the_oldest_is_forgotten_and_its_folder_is_no_longer_known_whole() -> None:
    known = Known(limit=2)
    known.listed([M], A)
    known.put([N, MessageRef("o")], B)

    assert known.was_in(M, A) is None
    assert known.was_in(N, B) is True


def test_a_message_that_was_moved_is_in_two_folders_until_both_have_told() -> None:
    known = Known()
    known.put([M], A)
    known.put([M], B)
    assert set(known.folders_of(M)) == {A, B}
    assert known.messages_in(A) == [M]
    known.drop([M], A)
    assert known.folders_of(M) == (B,)
    known.drop([M], A)
    known.drop([M], B)
    assert known.folders_of(M) == ()


def test_strays_wait_for_their_folder_until_they_are_settled() -> None:
    known = Known()
    known.stray(M, A)
    known.stray(N, A)
    known.settle([M], A)
    assert known.strays(A) == [N]
    assert known.strays(B) == []
    known.listed([], A)
    assert known.strays(A) == []


def test_a_folder_with_too_many_strays_is_due() -> None:
    known = Known()
    for number in range(MAX_STRAYS + 1):
        known.stray(MessageRef(str(number)), A)

    assert known.is_due(A)
    assert known.strays(A) == []
    known.listed([], A)
    assert not known.is_due(A)


def test_nothing_is_kept_of_a_folder_that_is_gone() -> None:
    known = Known()
    known.listed([M], A)
    known.stray(N, A)
    known.make_due(A)
    known.forget_mailbox(A)

    assert not known.is_due(A)
    assert known.strays(A) == []
    assert known.was_in(N, A) is None
