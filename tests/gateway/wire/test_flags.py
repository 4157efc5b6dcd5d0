from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import flags


@pytest.mark.parametrize(
    ("flag", "spelling"),
    [
        ("\\seen", "\\Seen"),
        ("\\RECENT", "\\Recent"),
        ("\\Other", "\\Other"),
        ("$forwarded", "$forwarded"),
        ("seen", "seen"),
    ],
)
def test_system_flags_get_their_usual_case(flag: str, spelling: str) -> None:
    assert flags.canonical(flag) == spelling


@pytest.mark.parametrize("keyword", ["$Forwarded", "NonJunk", "a-b_c.d", "[x"])
def test_atoms_are_keywords(keyword: str) -> None:
    assert flags.is_valid_keyword(keyword)


@pytest.mark.parametrize("keyword", ["", "\\Seen", "two words", "x]", "(x", "naïve", "a%", 'q"', "{1}", "a\r\n"])
def test_other_text_is_no_keyword(keyword: str) -> None:
    assert not flags.is_valid_keyword(keyword)


def test_flag_list_keeps_the_order_and_leaves_out_what_is_no_flag() -> None:
    assert flags.format_flags(["\\Seen", "$x", "bad one", "", "\\*", "\\"]) == b"(\\Seen $x \\*)"
    assert flags.format_flags([]) == b"()"


@given(st.lists(st.text(max_size=6), max_size=5))
def test_any_text_gives_a_flag_list(texts: list[str]) -> None:
    flag = rb'\\?[^(){ \x00-\x20%*"\\\]\x7f-\xff]+|\\\*'
    assert re.fullmatch(rb"\((?:(?:%b)(?: (?:%b))*)?\)" % (flag, flag), flags.format_flags(texts))
