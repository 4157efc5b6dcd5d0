from __future__ import annotations

from gateway.mailbox.metadata import Found, Selection, select

VALUES = {
    "/private/filters/values/boss": b"FROM boss",
    "/private/filters/values/small": b"SMALLER 5000",
    "/private/filters/values/small/older": b"x",
    "/private/filtersnot": b"y",
}


def test_what_is_named_and_not_there_is_none() -> None:
    found = select(VALUES, Selection(["/private/filtersnot", "/shared/comment"]))
    assert found == Found((("/private/filtersnot", b"y"), ("/shared/comment", None)))


def test_one_level_below() -> None:
    found = select(VALUES, Selection(["/private/filters/values"], depth=1))
    assert [name for name, _ in found.values] == [
        "/private/filters/values",
        "/private/filters/values/boss",
        "/private/filters/values/small",
    ]


def test_all_levels_below() -> None:
    found = select(VALUES, Selection(["/private/filters"], depth=None))
    assert len(found.values) == 4
    assert "/private/filtersnot" not in dict(found.values)


def test_long_values_are_left_out_and_the_longest_is_told() -> None:
    found = select(VALUES, Selection(["/private/filters/values"], depth=1, max_octets=9))
    assert dict(found.values) == {"/private/filters/values": None, "/private/filters/values/boss": b"FROM boss"}
    assert found.longest == 12
