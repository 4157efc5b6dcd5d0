from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.jmap.errors import MethodFailure
from tests.fakes.jmap.references import evaluate, resolve

DOCUMENT: dict[str, Any] = {
    "ids": ["a", "b"],
    "list": [{"x": ["1", "2"], "y": "p"}, {"x": ["3"], "y": "q"}],
    "a/b": {"~": 7},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ids", ["a", "b"]),
        ("ids/1", "b"),
        ("ids/*", ["a", "b"]),
        ("list/*/y", ["p", "q"]),
        ("list/*/x", ["1", "2", "3"]),
        ("a~1b/~0", 7),
    ],
)
def test_paths_lead_to_values(path: str, value: object) -> None:
    assert evaluate(DOCUMENT, path.split("/")) == value


@pytest.mark.parametrize("path", ["none", "ids/2", "ids/01", "ids/-", "ids/0/x", "list/*/z"])
def test_paths_that_lead_nowhere_are_errors(path: str) -> None:
    with pytest.raises(LookupError):
        evaluate(DOCUMENT, path.split("/"))


RESPONSES: list[tuple[str, dict[str, object], str]] = [
    ("Email/query", {"ids": ["m"]}, "0"),
    ("error", {"type": "serverFail"}, "1"),
]


def reference(result_of: str, name: str, path: str) -> dict[str, object]:
    return {"resultOf": result_of, "name": name, "path": path}


def test_a_reference_is_replaced() -> None:
    arguments = {"#ids": reference("0", "Email/query", "/ids"), "x": 1}
    assert resolve(arguments, RESPONSES) == {"ids": ["m"], "x": 1}


@pytest.mark.parametrize(
    ("arguments", "kind", "is_violation"),
    [
        ({"#ids": reference("0", "Email/query", "/ids"), "ids": []}, "invalidArguments", True),
        ({"#ids": {"resultOf": "0"}}, "invalidArguments", True),
        ({"#ids": reference("9", "Email/query", "/ids")}, "invalidResultReference", True),
        ({"#ids": reference("0", "Email/get", "/ids")}, "invalidResultReference", True),
        ({"#ids": reference("0", "Email/query", "ids")}, "invalidResultReference", True),
        ({"#ids": reference("0", "Email/query", "/none")}, "invalidResultReference", True),
        ({"#ids": reference("1", "Email/get", "/ids")}, "invalidResultReference", False),
    ],
)
def test_a_reference_that_fails(arguments: dict[str, object], kind: str, is_violation: bool) -> None:
    with pytest.raises(MethodFailure) as caught:
        resolve(arguments, RESPONSES)
    assert (caught.value.kind, caught.value.is_violation) == (kind, is_violation)
