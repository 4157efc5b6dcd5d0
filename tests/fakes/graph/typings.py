"""Microsoft's own description of Graph v1.0: the TypeScript types of the npm package @microsoft/microsoft-graph-types.

The package is installed by `make e2e-client`. Its one file declares, each in the first column,
`export type NAME = "a" | "b";` and `export interface NAME extends BASE { property?: TYPE; ... }`, where TYPE is
`string`, `number`, `boolean`, `any`, a NAME, any of these with `[]` behind, or `NullableOption<...>` around it.
A declaration is parsed when it is first asked for.
"""

from __future__ import annotations

import functools
import re
import unittest
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = (
    Path(__file__)
    .parents[2]
    .joinpath("e2e", "node_modules", "@microsoft", "microsoft-graph-types", "microsoft-graph.d.ts")
)
_DECLARATION: Final = re.compile(r"^export (interface|type) (\w+)", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_HEAD: Final = re.compile(r"export interface \w+(?:\s+extends\s+([\w.]+))?\s*\{(.*)\}", re.DOTALL)
_PROPERTY: Final = re.compile(r'\s*"?([\w@.]+)"?\s*(\?)?\s*:\s*([^;]+);')
_LITERAL: Final = re.compile(r'"([^"]*)"')
_NULLABLE: Final = re.compile(r"NullableOption<(.*)>")
_SCALARS: Final = frozenset({"string", "number", "boolean", "any"})


class TypesMissing(unittest.SkipTest):
    """The package is not installed. A test that meets this is skipped, as those that need other parts of Node are."""


class Unreadable(ValueError):
    """A declaration is not of the form told above."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The type of a property: the name of a scalar, enumeration or interface; whether it is a list, may be null."""

    name: str
    is_list: bool = False
    is_nullable: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """A structured type with all its properties, the inherited ones first; `bases` begin with its own name."""

    name: str
    bases: tuple[str, ...]
    properties: Mapping[str, Reference]


class Typings:
    """Declarations by name, from the text of a .d.ts file."""

    def __init__(self, text: str) -> None:
        found = list(_DECLARATION.finditer(text))
        # Namespaces stand at the end, and repeat names of the main one in their own indentation.
        end = text.find("\nexport namespace ")
        ends = [each.start() for each in found[1:]] + [len(text) if end < 0 else end]
        self._text = text
        self._places = {
            match[2]: (match[1], match.start(), stop)
            for match, stop in zip(found, ends, strict=True)
            if end < 0 or match.start() < end
        }
        self._interfaces: dict[str, Interface] = {}
        self._enums: dict[str, frozenset[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def interface(self, name: str) -> Interface:
        """Return a structured type. Raises KeyError if there is none of that name, Unreadable."""
        if name not in self._interfaces:
            self._interfaces[name] = self._parse_interface(name)
        return self._interfaces[name]

    def enum(self, name: str) -> frozenset[str] | None:
        """Return the values of an enumeration; None if the name is not one's. Raises Unreadable."""
        if name not in self._enums:
            kind, start, stop = self._places.get(name, ("", 0, 0))
            if kind != "type":
                return None
            declared = _COMMENT.sub("", self._text[start:stop]).strip()
            values = _LITERAL.findall(declared)
            if not values or not declared.endswith(";"):
                raise Unreadable(f"{name} is not an enumeration")
            self._enums[name] = frozenset(values)
        return self._enums[name]

    def is_kind_of(self, name: str, base: str) -> bool:
        """Tell whether an interface is `base` or derives from it."""
        return name in self and self._places[name][0] == "interface" and base in self.interface(name).bases

    def _parse_interface(self, name: str) -> Interface:
        kind, start, stop = self._places[name]
        if kind != "interface":
            raise KeyError(name)
        match = _HEAD.fullmatch(_COMMENT.sub("", self._text[start:stop]).strip())
        if match is None:
            raise Unreadable(name)
        base, body = match.groups()
        properties: dict[str, Reference] = {}
        bases: tuple[str, ...] = (name,)
        if base is not None:
            above = self.interface(base.removeprefix("microsoftgraph."))
            properties.update(above.properties)
            bases += above.bases
        position = 0
        while match := _PROPERTY.match(body, position):
            properties[match[1]] = reference(match[3].strip())
            position = match.end()
        if body[position:].strip():
            raise Unreadable(f"{name}: {body[position:].strip()[:80]}")
        return Interface(name, bases, properties)


def reference(text: str) -> Reference:
    """Parse the type of a property. Raises Unreadable."""
    nullable = _NULLABLE.fullmatch(text)
    inner = nullable[1].strip() if nullable is not None else text
    is_list = inner.endswith("[]")
    name = inner.removesuffix("[]").strip()
    if not re.fullmatch(r"[\w.]+", name):
        raise Unreadable(text)
    return Reference(name, is_list, nullable is not None)


def is_scalar(name: str) -> bool:
    """Tell whether a name is one of TypeScript's own types."""
    return name in _SCALARS


@functools.cache
def typings() -> Typings:
    """Return Graph's types, read once. Raises TypesMissing."""
    try:
        return Typings(PATH.read_text("utf-8"))
    except FileNotFoundError:
        raise TypesMissing("@microsoft/microsoft-graph-types is not installed; `make e2e-client` installs it") from None
