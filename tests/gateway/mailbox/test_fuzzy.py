from __future__ import annotations

import pytest

from gateway.mailbox.fuzzy import MAX_WORDS, in_most, needed, words_of
from gateway.mailbox.marks import Marks


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("IMAP break", ["IMAP", "break"]),
        ("  (Re:) IMAP, imap  -- ", ["Re", "IMAP"]),
        ("don't user@example.com", ["don't", "user@example.com"]),
        ("Straße STRASSE", ["Straße"]),
        ("?!", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_only_so_many_words_are_looked_for() -> None:
    assert words_of(" ".join(f"w{number}" for number in range(100))) == [f"w{number}" for number in range(MAX_WORDS)]


def test_of_three_and_more_words_two_thirds_are_needed() -> None:
    assert [needed(count) for count in range(1, 9)] == [1, 2, 2, 3, 4, 4, 5, 6]


def test_what_most_searches_found_is_found() -> None:
    assert in_most([Marks(b"\1\1\0"), Marks(b"\1\0\1")]) == Marks(b"\1\0\0")
    assert in_most([Marks(b"\1\1\0\0"), Marks(b"\1\0\1\0"), Marks(b"\1\1\0\0")]) == Marks(b"\1\1\0\0")
