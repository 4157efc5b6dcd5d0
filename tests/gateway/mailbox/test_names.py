from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.names import is_valid, join, split

COMPONENT = st.text(st.sampled_from("a%25F/ é"), min_size=1, max_size=12)


@given(st.lists(COMPONENT, min_size=1, max_size=4).map(tuple))
def test_a_path_comes_back_from_its_name(path: tuple[str, ...]) -> None:
    assert split(join(path)) == path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("INBOX",), "INBOX"),
        (("Work", "2026"), "Work/2026"),
        (("a/b", "c"), "a%2Fb/c"),
        (("50%",), "50%"),
        (("100%25",), "100%2525"),
        (("a%2Fb",), "a%252Fb"),
    ],
)
def test_names_change_only_where_they_must(path: tuple[str, ...], name: str) -> None:
    assert join(path) == name


@pytest.mark.parametrize("name", ["a", "Work/2026", "Entwürfe", "a b&c", "x" * 1000])
def test_usual_names_are_valid(name: str) -> None:
    assert is_valid(name)


@pytest.mark.parametrize("name", ["", "/", "a//b", "/a", "a/", "a\rb", "a\x00", "\x7f", "x" * 1001])
def test_names_with_empty_levels_or_controls_are_not(name: str) -> None:
    assert not is_valid(name)
