"""Lists of differences: a reason for each, and nothing that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.transcript.listing import Difference, differences, read_list

LIST = """left out, for want of the capability at one of both
FILTERS 4

== RFC 5530 section 3
Codes may be left out.

everywhere
- NO
+ NO [CANNOT]

a: 1 NOOP
- * 1 EXISTS
"""


def read(tmp_path: Path, text: str = LIST) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_what_is_listed_is_allowed_and_must_be_there(tmp_path: Path) -> None:
    known = read_list(read(tmp_path))
    found = differences(
        {"a: 1 NOOP": ["* 1 EXISTS", "NO"], "b: 1 NOOP": ["OK"], "c: 1 NOOP": ["NO"]},
        {"a: 1 NOOP": ["NO [CANNOT]"], "b: 1 NOOP": ["OK"], "c: 1 NOOP": ["NO [CANNOT]"]},
    )
    assert found.keys() == {"a: 1 NOOP", "c: 1 NOOP"}
    assert not known.unlisted(found)
    assert not known.gone(found)
    assert known.left_out == {"FILTERS": 4}
    assert known.gone({}) == ["a: 1 NOOP", "everywhere\n- NO\n+ NO [CANNOT]"]


def test_what_is_not_listed_is_not_allowed(tmp_path: Path) -> None:
    known = read_list(read(tmp_path))
    found = differences({"a: 1 NOOP": ["OK"], "d: 1 NOOP": ["NO"]}, {"a: 1 NOOP": ["BAD"], "d: 1 NOOP": ["NO"]})
    assert known.unlisted(found) == {"a: 1 NOOP": Difference(("OK",), ("BAD",))}
    assert "a: 1 NOOP" in known.gone(found)


def test_the_order_of_lines_is_a_difference_too() -> None:
    found = differences({"a": ["x", "OK"]}, {"a": ["OK", "x"]})
    assert found == {"a": Difference(("x", "OK"), ("OK", "x"))}


@pytest.mark.parametrize(
    "text",
    [
        "a: 1 NOOP\n- OK\n",
        "== RFC 5530 section 3\nOne.\n",
        "== RFC 5530\nNo section.\n\na: 1 NOOP\n- OK\n",
        "== RFC 5530 section 3\n\na: 1 NOOP\n- OK\n",
        "== RFC 5530 section 3\nOne.\n\n== RFC 5530 section 4\nTwo.\n\na: 1 NOOP\n- OK\n",
        "== RFC 5530 section 3\nOne.\n\na: 1 NOOP\n- OK\n\na: 1 NOOP\n- OK\n",
    ],
)
def test_each_has_a_reason_and_is_listed_once(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        read_list(read(tmp_path, text))
