"""Categories as keywords, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.graph.categories import Categories, escape, unescape

LABELS = ("Important", "Work", "Personal", "To Do", "Later")
ATOM = re.compile(r"[!#$&'+-\[^-z|}~]+")
ATOM_CHARS = "".join(chr(number) for number in range(0x21, 0x7F) if ATOM.fullmatch(chr(number)))

likely_texts = st.text(alphabet="=;0123456789abcdef $lABLDo(é\u20ac\U0001f600\n", min_size=1)
likely_atoms = st.text(alphabet="=;0123456789abcdef$lABLTDo", min_size=1)


@pytest.mark.parametrize(
    ("category", "keyword"),
    [
        ("Blue", "Blue"),
        ("Red category", "Red=20;category"),
        ("R&D", "R&D"),
        ("Büro (1)", "B=fc;ro=20;=28;1=29;"),
        ("=20;", "==20;"),
        ("==20;", "====20;"),
        ("= ", "===20;"),
        ("=41;", "=41;"),
        ("a=b", "a=b"),
        ("\\Seen", "=5c;Seen"),
        ("\U0001f600", "=1f600;"),
    ],
)
def test_what_no_atom_holds_is_written_as_its_number(category: str, keyword: str) -> None:
    assert escape(category) == keyword
    assert unescape(keyword) == category


@given(st.one_of(st.text(min_size=1), likely_texts))
def test_every_category_is_an_atom_that_gives_it_back(category: str) -> None:
    keyword = escape(category)

    assert ATOM.fullmatch(keyword)
    assert unescape(keyword) == category


@given(st.one_of(st.text(alphabet=ATOM_CHARS, min_size=1), likely_atoms))
def test_every_keyword_is_a_category_that_gives_it_back(keyword: str) -> None:
    assert escape(unescape(keyword)) == keyword


@given(st.one_of(st.sampled_from([*LABELS, *(f"$label{n}" for n in range(8))]), likely_texts))
def test_labels_leave_every_category_its_own_keyword(category: str) -> None:
    categories = Categories(LABELS)

    assert categories.category(categories.keyword(category)).casefold() == category.casefold()


@given(st.one_of(st.sampled_from(["Important", "to=20;do", *(f"$LABEL{n}" for n in range(8))]), likely_atoms))
def test_labels_leave_every_keyword_its_own_category(keyword: str) -> None:
    categories = Categories(LABELS)

    assert categories.keyword(categories.category(keyword)).casefold() == keyword.casefold()


def test_labels_are_the_keywords_that_clients_show_as_colours() -> None:
    categories = Categories(LABELS)

    assert categories.keyword("to do") == "$label4"
    assert categories.category("$Label4") == "To Do"
    assert categories.category("Important") == "$label1"


def test_without_labels_the_keywords_are_categories_like_others() -> None:
    categories = Categories(())

    assert categories.category("$label1") == "$label1"
    assert categories.keyword("Important") == "Important"
