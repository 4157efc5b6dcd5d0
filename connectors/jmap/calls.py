"""What is asked of a JMAP server: method calls, references between them, and the request that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Call:
    """One method call (RFC 8620 section 3.2). `id` names its responses; unique in its request."""

    name: str
    arguments: dict[str, object]
    id: str


def ref(call_id: str, name: str, path: str) -> dict[str, str]:
    """Return a ResultReference to what `path` (a JSON Pointer, `*` for each item) finds in the reply of a call before.

    It is the value of an argument whose name begins with `#`. Source: RFC 8620 section 3.7.
    """
    return {"resultOf": call_id, "name": name, "path": path}


def referring(argument: str, to: Call, path: str) -> dict[str, object]:
    """Return the argument as one that takes its value from the reply of an earlier call: `{"#ids": {...}}`."""
    return {f"#{argument}": ref(to.id, to.name, path)}


def patch_key(*path: str) -> str:
    """Return the key of a PatchObject for the property at `path`, escaped as in a JSON Pointer.

    Source: RFC 8620 section 5.3, RFC 6901 section 3.
    """
    return "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)


def encode(calls: Sequence[Call], using: Iterable[str]) -> bytes:
    """Return the body of the request (RFC 8620 section 3.3).

    Raises:
        ValueError: two calls have the same id, so their replies could not be told apart.
    """
    if len({call.id for call in calls}) != len(calls):
        raise ValueError("two calls of one request have the same id")
    return msgspec.json.encode(
        {
            "using": sorted(set(using)),
            "methodCalls": [[call.name, call.arguments, call.id] for call in calls],
        }
    )
