"""The query options of OData that Graph's mail takes: $select, $expand, $orderby, $top, $skip, $count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.fakes.graph import mapi
from tests.fakes.graph.errors import ApiError, bad_query, misuse
from tests.fakes.graph.schema import Checker

NAVIGATIONS: Final[Mapping[str, frozenset[str]]] = {
    "Message": frozenset(
        {"attachments", "extensions", "singleValueExtendedProperties", "multiValueExtendedProperties"}
    ),
    "MailFolder": frozenset(
        {
            "childFolders",
            "messageRules",
            "messages",
            "singleValueExtendedProperties",
            "multiValueExtendedProperties",
        }
    ),
    "Attachment": frozenset(),
}
_SELECT_OPTION: Final = re.compile(r"\$select=([\w,\s]+)")
_ID_FILTER: Final = re.compile(r"id\s+eq\s+'((?:[^']|'')*)'")
_OR: Final = re.compile(r"\s+or\s+")


@dataclass(frozen=True, slots=True)
class Expansion:
    """What is to come along. `extended`: ids of properties, in Graph's form; `attachments`: their selection, if any."""

    extended: tuple[str, ...] = ()
    has_attachments: bool = False
    attachments: tuple[str, ...] | None = None
    has_item: bool = False


def parse_select(text: str, type_name: str, checker: Checker) -> tuple[str, ...]:
    """Return the names in $select. Raises ApiError (400) for one the type does not have, or may only expand."""
    names = tuple(each.strip() for each in text.split(","))
    for name in names:
        found = checker.property(type_name, name) if re.fullmatch(r"\w+", name) else None
        if found is None and not (type_name == "Attachment" and checker.property("FileAttachment", name)):
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.")
        if name in NAVIGATIONS.get(type_name, ()):
            raise bad_query(f"'{name}' is a navigation property, which is expanded and not selected.")
    return tuple(dict.fromkeys(names))


def parse_expand(text: str, type_name: str, checker: Checker) -> Expansion:
    """Return what $expand asks for. Raises ApiError (400)."""
    found = Expansion()
    for part in split_outside(text, ","):
        name, _, options = part.strip().partition("(")
        if options and not options.endswith(")"):
            raise bad_query("Found an unbalanced bracket expression.")
        options = options.removesuffix(")")
        if type_name == "Attachment" and name == "microsoft.graph.itemAttachment/item":
            found = Expansion(found.extended, found.has_attachments, found.attachments, has_item=True)
        elif name not in NAVIGATIONS[type_name]:
            raise bad_query(f"Could not find a navigation property named '{name}' on 'microsoft.graph.{type_name}'.")
        elif name == "singleValueExtendedProperties":
            found = Expansion(found.extended + _property_ids(options), found.has_attachments, found.attachments)
        elif name == "attachments":
            selected = _SELECT_OPTION.fullmatch(options) if options else None
            if options and selected is None:
                raise bad_query(f"{options} cannot be an option of an expansion of attachments here.")
            names = parse_select(selected[1], "Attachment", checker) if selected else None
            found = Expansion(found.extended, has_attachments=True, attachments=names)
        else:
            raise ApiError(501, "NotImplemented", f"$expand={name} is not played by this stand-in", is_misuse=True)
    return found


def _property_ids(options: str) -> tuple[str, ...]:
    # There is no "all properties": the filter is required.
    if not options.startswith("$filter="):
        raise misuse("ErrorInvalidRequest", "singleValueExtendedProperties are expanded with a $filter on id.")
    found = []
    for term in _OR.split(options.removeprefix("$filter=").strip()):
        match = _ID_FILTER.fullmatch(term.strip())
        if match is None:
            raise bad_query(f"{term!r} cannot be in the filter of an expansion; only id eq '...' joined by or.")
        found.append(mapi.canonical(match[1].replace("''", "'")))
    return tuple(found)


def parse_order(text: str, type_name: str, checker: Checker) -> list[tuple[str, bool]]:
    """Return the properties in $orderby, each with whether it descends. Raises ApiError (400)."""
    found = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if checker.property(type_name, name) is None or direction.strip().lower() not in {"", "asc", "desc"}:
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.")
        found.append((name, direction.strip().lower() == "desc"))
    return found


def parse_count(name: str, text: str, low: int, high: int) -> int:
    """Return a number in a query. Raises ApiError (400) if it is none, or out of its range."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < low:
        raise misuse("ErrorInvalidUrlQuery", f"Invalid value '{text}' for ${name} query option found.")
    if int(text) > high:
        raise misuse(
            "ErrorInvalidUrlQuery",
            "The query specified in the URI is not valid. "
            f"The limit of '{high}' for {name.title()} query has been exceeded. The value is '{text}'.",
        )
    return int(text)


def parse_flag(name: str, text: str) -> bool:
    """Return a boolean in a query. Raises ApiError (400)."""
    if text.lower() not in {"true", "false"}:
        raise misuse("ErrorInvalidUrlQuery", f"Invalid value '{text}' for {name}.")
    return text.lower() == "true"


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a character where it is neither in parentheses nor in quotes. Raises ApiError (400)."""
    parts, depth, is_quoted, start = [], 0, False, 0
    for place, character in enumerate(text):
        if character == "'":
            is_quoted = not is_quoted
        elif not is_quoted and character in "()":
            depth += 1 if character == "(" else -1
        elif character == separator and depth == 0 and not is_quoted:
            parts.append(text[start:place])
            start = place + 1
    if depth or is_quoted:
        raise bad_query("Found an unbalanced bracket expression.")
    return [*parts, text[start:]]
