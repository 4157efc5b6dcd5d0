"""References from one call to the results of an earlier one (RFC 8620 section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tests.fakes.jmap.errors import MethodFailure, invalid_arguments

Response = tuple[str, dict[str, object], str]


def resolve(arguments: dict[str, object], responses: Sequence[Response]) -> dict[str, object]:
    """Return the arguments with each `#name` replaced by what it refers to.

    Raises:
        MethodFailure: a reference is malformed (`invalidArguments`) or leads nowhere (`invalidResultReference`).
    """
    resolved: dict[str, object] = {}
    for name, value in arguments.items():
        if not name.startswith("#"):
            resolved[name] = value
            continue
        if name[1:] in arguments:
            raise invalid_arguments(f"{name} is given beside {name[1:]}")
        resolved[name[1:]] = _target(name, value, responses)
    return resolved


def _target(name: str, value: object, responses: Sequence[Response]) -> object:
    if not isinstance(value, dict) or set(value) != {"resultOf", "name", "path"}:
        raise invalid_arguments(f"{name} is not a ResultReference")
    if not all(isinstance(part, str) for part in value.values()):
        raise invalid_arguments(f"{name} is not a ResultReference")
    wanted = cast(dict[str, str], value)
    found = next((response for response in responses if response[2] == wanted["resultOf"]), None)
    if found is None:
        raise MethodFailure("invalidResultReference", f"{name}: no call {wanted['resultOf']!r}", is_violation=True)
    if found[0] != wanted["name"]:
        # A call that failed answers under the name "error", which is not the client's fault.
        is_fault = found[0] != "error"
        raise MethodFailure("invalidResultReference", f"{name}: the reply is {found[0]}", is_violation=is_fault)
    if not wanted["path"].startswith("/"):
        raise MethodFailure("invalidResultReference", f"{name}: path {wanted['path']!r}", is_violation=True)
    try:
        return evaluate(found[1], wanted["path"][1:].split("/"))
    except LookupError:
        raise MethodFailure(
            "invalidResultReference", f"{name}: nothing at {wanted['path']!r}", is_violation=True
        ) from None


def evaluate(value: object, tokens: Sequence[str]) -> object:
    """Follow a JSON Pointer in which `*` maps over an array and flattens what it finds.

    Raises:
        LookupError: it leads nowhere.
    """
    if not tokens:
        return value
    token, rest = tokens[0], tokens[1:]
    if isinstance(value, list):
        if token == "*":
            results: list[object] = []
            for item in value:
                found = evaluate(item, rest)
                results.extend(found if isinstance(found, list) else [found])
            return results
        if not token.isdecimal() or (token != "0" and token.startswith("0")):
            raise LookupError(token)
        return evaluate(value[int(token)], rest)
    if isinstance(value, dict):
        return evaluate(value[unescape(token)], rest)
    raise LookupError(token)


def unescape(token: str) -> str:
    """Undo the escapes of a JSON Pointer (RFC 6901 section 4)."""
    return token.replace("~1", "/").replace("~0", "~")
