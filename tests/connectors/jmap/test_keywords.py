"""Flags and keywords, in both directions."""

from __future__ import annotations

import pytest

from connectors.api.errors import Rejected
from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN
from connectors.jmap.keywords import flags_of, keyword_of, keywords_of

PAIRS = [
    ("$seen", SEEN),
    ("$answered", ANSWERED),
    ("$flagged", FLAGGED),
    ("$draft", DRAFT),
    ("$forwarded", "$Forwarded"),
    ("$mdnsent", "$MDNSent"),
    ("$junk", "$Junk"),
    ("$notjunk", "$NotJunk"),
    ("$phishing", "$Phishing"),
    ("nonjunk", "NonJunk"),
    ("$label1", "$label1"),
    ("project/x~y", "project/x~y"),
    ("[a]"[:2], "[a"),
]


@pytest.mark.parametrize(("keyword", "flag"), PAIRS)
def test_each_keyword_is_a_flag_and_back(keyword: str, flag: str) -> None:
    assert flags_of({keyword: True}) == {flag}
    assert keyword_of(flag) == keyword


def test_keywords_are_compared_without_regard_to_case() -> None:
    assert keyword_of("Work") == keyword_of("WORK") == "work"
    assert keyword_of("\\SEEN") == "$seen"
    assert flags_of({"$SEEN": True, "$Forwarded": True}) == {SEEN, "$Forwarded"}


def test_what_is_not_set_is_no_flag() -> None:
    assert flags_of({"$seen": False, "work": True}) == {"work"}


@pytest.mark.parametrize(
    "keyword", ["", "two words", "a(b", "a]b", "per%cent", "st*r", 'qu"ote', "back\\slash", "größe"]
)
def test_what_imap_cannot_hold_is_left_out(keyword: str) -> None:
    assert flags_of({keyword: True, "$seen": True}) == {SEEN}


@pytest.mark.parametrize("flag", ["\\Deleted", "\\Recent", "\\Strange", "a b", "x" * 256])
def test_what_jmap_cannot_hold_is_refused(flag: str) -> None:
    with pytest.raises(Rejected):
        keyword_of(flag)


def test_flags_of_a_new_message_are_a_set_of_keywords() -> None:
    assert keywords_of({SEEN, "$Forwarded", "Work"}) == {"$seen": True, "$forwarded": True, "work": True}
