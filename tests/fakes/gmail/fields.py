"""The `fields` parameter: which parts of a reply are wanted, as `messages(id,payload/headers),nextPageToken`."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.fakes.gmail.discovery import Description
from tests.fakes.gmail.errors import malformed

Selection = dict[str, "Selection"]
"""Wanted names, each with what is wanted below it; an empty one means everything."""

_TOKEN: Final = re.compile(r"[\w*]+|[(),/]")


def parse(text: str, description: Description, schema: str) -> Selection:
    """Parse a selection for replies of `schema`. Raises ApiError (400) for a name the schema does not have."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise malformed(f"Invalid field selection {text}")
    selection = _list(tokens)
    if tokens:
        raise malformed(f"Invalid field selection {text}")
    _check(selection, description, schema)
    return selection


def select(value: Any, selection: Selection) -> Any:
    """Return `value` with only what is selected; arrays item by item."""
    if not selection or "*" in selection:
        return value
    if isinstance(value, list):
        return [select(item, selection) for item in value]
    return {name: select(item, selection[name]) for name, item in value.items() if name in selection}


def _list(tokens: list[str]) -> Selection:
    found: Selection = {}
    while tokens and tokens[0] not in {")", ","}:
        name = tokens.pop(0)
        found.setdefault(name, {}).update(_below(tokens))
        if tokens[:1] != [","]:
            break
        tokens.pop(0)
    return found


def _below(tokens: list[str]) -> Selection:
    if tokens[:1] == ["/"]:
        tokens.pop(0)
        name = tokens.pop(0) if tokens else ""
        return {name: _below(tokens)}
    if tokens[:1] == ["("]:
        tokens.pop(0)
        found = _list(tokens)
        if tokens[:1] == [")"]:
            tokens.pop(0)
            return found
        tokens.append("(")
    return {}


def _check(selection: Selection, description: Description, schema: str) -> None:
    properties = description.properties(schema)
    for name, below in selection.items():
        if name == "*":
            continue
        if name not in properties:
            raise malformed(f"Invalid field selection {name}")
        child = properties[name]
        if below and child is None:
            raise malformed(f"Invalid field selection {name}")
        if child is not None:
            _check(below, description, child)
