"""Check JSON values against the schemas of a discovery document; unknown properties are faults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1)}
_RANGES["uint64"] = (0, 2**64 - 1)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BASE64 = re.compile(r"[A-Za-z0-9_+/-]*={0,2}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class Checker:
    """Holds the schemas by name."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def faults(self, name: str, value: object) -> Iterator[str]:
        """Yield what does not fit schema `name`, one sentence each."""
        return self._check(self._schemas[name], value, name)

    def properties(self, name: str) -> Mapping[str, str | None]:
        """Return each property of schema `name` and the name of the schema below it, if it is an object or objects."""
        found = self._schemas[name].get("properties", {})
        return {key: each.get("$ref") or each.get("items", {}).get("$ref") for key, each in found.items()}

    def _check(self, schema: Mapping[str, Any], value: object, at: str) -> Iterator[str]:
        if "$ref" in schema:
            yield from self._check(self._schemas[schema["$ref"]], value, at)
        elif schema["type"] == "object":
            yield from self._check_object(schema, value, at)
        elif schema["type"] == "array":
            if not isinstance(value, list):
                yield f"{at}: not an array"
                return
            for number, item in enumerate(value):
                yield from self._check(schema["items"], item, f"{at}[{number}]")
        elif fault := scalar_fault(schema, value):
            yield f"{at}: {fault}"

    def _check_object(self, schema: Mapping[str, Any], value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: not an object"
            return
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for key, item in value.items():
            below = properties.get(key, others)
            if below is None:
                yield f'{at}: unknown name "{key}"'
            else:
                yield from self._check(below, item, f"{at}.{key}")


def scalar_fault(schema: Mapping[str, Any], value: object) -> str | None:
    """Return what is wrong with a plain value, or None."""
    kind, form = schema["type"], schema.get("format")
    if kind == "any":
        return None
    if kind == "boolean":
        return None if isinstance(value, bool) else "not a boolean"
    if kind == "number":
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "not a number"
    if kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return "not an integer"
        low, high = _RANGES[form or "int32"]
        return None if low <= value <= high else f"out of the range of {form}"
    if not isinstance(value, str):
        return f"not a string, which {form} is in JSON" if form else "not a string"
    return _string_fault(schema, form, value)


def _string_fault(schema: Mapping[str, Any], form: str | None, value: str) -> str | None:
    if not value.isascii() and _SURROGATE.search(value):
        return "not Unicode text: half of a surrogate pair"
    if form in {"int64", "uint64"}:
        low, high = _RANGES[form]
        if not _INTEGER.fullmatch(value) or not low <= int(value) <= high:
            return f"not the decimal digits of an {form}"
    elif form == "byte" and not _BASE64.fullmatch(value):
        return "not base64"
    elif form == "google-datetime" and not _TIME.fullmatch(value):
        return "not a time of RFC 3339"
    if "enum" in schema and value not in schema["enum"]:
        return f'not one of {", ".join(schema["enum"])}: "{value}"'
    return None
