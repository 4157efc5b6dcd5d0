from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.name_pattern import NamePattern


@pytest.mark.parametrize(
    ("pattern", "name", "does_match"),
    [
        ("*", "Work", True),
        ("*", "Work/2024/May", True),
        ("%", "Work", True),
        ("%", "Work/2024", False),
        ("Work/%", "Work/2024", True),
        ("Work/%", "Work/2024/May", False),
        ("Work/%", "Work", False),
        ("Work/*", "Work/2024/May", True),
        ("Work%", "Work", True),
        ("%/%", "Work/2024", True),
        ("%/%", "Work", False),
        ("W%k/*y", "Work/2024/May", True),
        ("*2024*", "Work/2024/May", True),
        ("%2024%", "Work/2024/May", False),
        ("%%", "Work", True),
        ("work", "Work", False),
        ("", "", True),
        ("", "Work", False),
        ("inbox", "INBOX", True),
        ("InBo%", "INBOX", True),
        ("inbox/%", "INBOX/Lists", True),
        ("inbox", "INBOXES", False),
        ("inboxes", "INBOXES", False),
        ("Ordner/Ü*", "Ordner/Übung", True),
        ("Work/", "Work/", True),
        ("Work*", "Wor", False),
        ("Work*", "Work", True),
        ("Work%", "Work/2024", False),
        ("Work/2024%", "Work/2024", True),
        ("inb%", "INBOX/Lists", False),
        ("inbox/l*", "INBOX/lists", True),
    ],
)
def test_a_name_is_matched_as_the_rfc_says(pattern: str, name: str, does_match: bool) -> None:
    assert NamePattern(pattern).matches(name) is does_match


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=10))
def test_matching_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(sign, re.escape(sign)) for sign in pattern)
    assert NamePattern(pattern).matches(name) is (re.fullmatch(expression, name) is not None)


@pytest.mark.timeout(10)
def test_a_hostile_pattern_takes_no_longer_than_its_length() -> None:
    assert not NamePattern("%a*" * 20_000 + "b").matches("a" * 1000)
    assert not NamePattern("*a%" * 300 + "b").matches("a" * 1000)
    assert not NamePattern("%*" * 30_000 + "b").matches("a" * 1000)
