from __future__ import annotations

from connectors.api.types import FLAGGED, SEEN
from connectors.maildir.keywords import Keywords
from connectors.maildir.renaming import Renaming


def test_flags_are_letters_and_what_is_not_ours_stays() -> None:
    renaming = Renaming(Keywords(("Foo",)), frozenset({FLAGGED, "Foo"}), frozenset({SEEN}))
    assert renaming.of("1.a,S=10:2,ST,x=y") == ("1.a,S=10:2,FTa,x=y", frozenset({FLAGGED, "Foo", "\\Deleted"}))
    assert renaming.of("2.b") == ("2.b:2,Fa", frozenset({FLAGGED, "Foo"}))


def test_a_keyword_without_a_letter_is_not_told_as_kept() -> None:
    assert Renaming(Keywords(), frozenset({"Foo"}), frozenset()).of("1.a:2,S") == ("1.a:2,S", frozenset({SEEN}))
