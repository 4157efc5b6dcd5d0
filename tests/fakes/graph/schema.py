"""Check JSON values against Graph's types: unknown names, wrong types, values outside an enumeration.

What TypeScript does not tell, but Graph's names do: `...DateTime` is a time of RFC 3339, `contentBytes` is base64, and
numbers of items are not negative. `@odata.type` may name a derived type, and then that one's properties count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.fakes.graph.typings import Reference, Typings, is_scalar

TIME: Final = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)")
_LOCAL_TIME: Final = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,7})?Z?")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
_BINARY: Final = frozenset({"contentBytes"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PREFIX: Final = "#microsoft.graph."
# Annotations that Graph sends with any entity; with one that is sent to Graph only the type has a meaning.
_OF_REPLIES: Final = frozenset({"@odata.type", "@odata.id", "@odata.etag", "@odata.context", "@removed"})
_OF_REQUESTS: Final = frozenset({"@odata.type"})


def type_name(annotation: str) -> str:
    """Return `Message` for `#microsoft.graph.message`; an empty string if it is not one of Graph's."""
    if not annotation.startswith(_PREFIX):
        return ""
    plain = annotation.removeprefix(_PREFIX)
    return plain[:1].upper() + plain[1:]


class Checker:
    """Compares with one set of types."""

    def __init__(self, typings: Typings) -> None:
        self.typings = typings

    def request_faults(self, name: str, value: object) -> list[str]:
        """Return what does not fit the type `name` in what a client sends, one sentence each."""
        return list(self._entity(name, value, name, _OF_REQUESTS))

    def reply_faults(self, name: str, value: object) -> list[str]:
        """Return what does not fit the type `name` in what Graph sends, one sentence each."""
        return list(self._entity(name, value, name, _OF_REPLIES))

    def property(self, name: str, path: str) -> Reference | None:
        """Return the type of a property, which may lie deeper (`flag/flagStatus`); None if there is none."""
        found = Reference(name)
        for step in path.split("/"):
            if is_scalar(found.name) or self.typings.enum(found.name) is not None:
                return None
            properties = self.typings.interface(found.name).properties
            if step not in properties:
                return None
            found = properties[step]
        return found

    def _entity(self, name: str, value: object, at: str, annotations: frozenset[str]) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: not an object"
            return
        told = value.get("@odata.type")
        if told is not None:
            derived = type_name(told) if isinstance(told, str) else ""
            if not self.typings.is_kind_of(derived, name):
                yield f"{at}: {told!r} is no kind of {name}"
                return
            name = derived
        properties = self.typings.interface(name).properties
        for key, item in value.items():
            known = properties.get(key)
            if known is not None:
                yield from self._value(known, item, at, key, annotations)
            elif key not in annotations and not (annotations is _OF_REPLIES and self._is_about(key, properties)):
                yield f'{at}: unknown property "{key}"'

    @staticmethod
    def _is_about(key: str, properties: Any) -> bool:
        owner, _, annotation = key.partition("@odata.")
        return owner in properties and annotation in {"context", "nextLink", "count", "type"}

    def _value(self, known: Reference, value: object, at: str, key: str, annotations: frozenset[str]) -> Iterator[str]:
        # An item of an array has no key of its own.
        where = f"{at}.{key}" if key else at
        if value is None:
            if not known.is_nullable:
                yield f"{where}: null, which it cannot be"
        elif known.is_list:
            if not isinstance(value, list):
                yield f"{where}: not an array"
                return
            item = Reference(known.name)
            for place, each in enumerate(value):
                yield from self._value(item, each, f"{where}[{place}]", "", annotations)
        elif is_scalar(known.name):
            if fault := _scalar_fault(known.name, key, value):
                yield f"{where}: {fault}"
        elif (values := self.typings.enum(known.name)) is not None:
            if value not in values:
                yield f"{where}: {value!r} is not one of {', '.join(sorted(values))}"
        else:
            yield from self._entity(known.name, value, where, annotations)


def _scalar_fault(kind: str, key: str, value: object) -> str | None:
    if kind == "any":
        return None
    if kind == "boolean":
        return None if isinstance(value, bool) else f"{value!r} is not a boolean"
    if kind == "number":
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"{value!r} is not a number"
        return None if value >= 0 or not key.endswith(("Count", "size")) else f"{value} is negative"
    if not isinstance(value, str):
        return f"{value!r} is not a string"
    return _string_fault(key, value)


def _string_fault(key: str, value: str) -> str | None:
    if not value.isascii() and _SURROGATE.search(value):
        return "not Unicode text: half of a surrogate pair"
    if key.endswith("DateTime") and not TIME.fullmatch(value):
        return f"{value!r} is not a time with offset"
    if key == "dateTime" and not _LOCAL_TIME.fullmatch(value):
        return f"{value!r} is not a time without offset"
    if key in _BINARY and not _BASE64.fullmatch(value):
        return "not base64"
    return None
