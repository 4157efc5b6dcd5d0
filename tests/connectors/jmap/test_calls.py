"""Requests are built as RFC 8620 section 3 has them."""

from __future__ import annotations

import msgspec
import pytest

from connectors.jmap.calls import Call, encode, patch_key, ref, referring


def test_a_request_carries_its_calls_in_order() -> None:
    query = Call("Email/query", {"accountId": "A"}, "q")
    get = Call("Email/get", {"accountId": "A", **referring("ids", query, "/ids")}, "g")
    assert msgspec.json.decode(encode([query, get], ["b", "a", "b"])) == {
        "using": ["a", "b"],
        "methodCalls": [
            ["Email/query", {"accountId": "A"}, "q"],
            ["Email/get", {"accountId": "A", "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"}}, "g"],
        ],
    }


def test_a_reference_names_call_method_and_path() -> None:
    assert ref("c1", "Email/changes", "/created") == {"resultOf": "c1", "name": "Email/changes", "path": "/created"}


def test_two_calls_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id"):
        encode([Call("a", {}, "1"), Call("b", {}, "1")], [])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("keywords", "$seen"), "keywords/$seen"),
        (("mailboxIds", "a/b~c"), "mailboxIds/a~1b~0c"),
        (("keywords", "~1"), "keywords/~01"),
    ],
)
def test_keys_of_patches_are_escaped_as_json_pointers(path: tuple[str, ...], key: str) -> None:
    assert patch_key(*path) == key
