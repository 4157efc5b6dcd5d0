"""Google's own published description of an API, and whether a request or a reply fits it.

The documents come with google-api-python-client, a test dependency. A discovery document lists methods (verb, path
template, parameters, request and response schema, scopes, upload limits) and schemas in an old JSON Schema dialect:
`$ref` by bare name, no `required` lists, `format` for what JSON cannot say (int64 and uint64 are strings, byte is
base64).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.fakes.gmail.errors import ApiError, malformed
from tests.fakes.gmail.schema import Checker, scalar_fault

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
# JSONP is not worth playing, and a token belongs in a header, never in a URL that proxies log.
_REFUSED_EVERYWHERE = frozenset({"callback", "access_token", "oauth_token"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method, in its path or its query."""

    name: str
    location: str
    type: str
    format: str | None
    is_required: bool
    is_repeated: bool
    values: frozenset[str] | None
    default: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """Whether and how much media a method takes; `accept` as `message/*`."""

    max_octets: int
    accept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API. `scopes`: any one of them suffices."""

    id: str
    verb: str
    pattern: re.Pattern[str]
    parameters: Mapping[str, Parameter]
    request: str | None
    response: str | None
    scopes: frozenset[str]
    upload: Upload | None


class Description:
    """A discovery document, looked up by request and by schema."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        everywhere = [_parameter(name, raw) for name, raw in document["parameters"].items()]
        self._everywhere = {each.name: each for each in everywhere if each.name not in _REFUSED_EVERYWHERE}
        self.methods = {method.id: method for method in _methods(document)}
        self.scopes = frozenset(document["auth"]["oauth2"]["scopes"])
        self._checker = Checker(document["schemas"])

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
        """Return the method a request is for and the parameters of its path, decoded; None if there is none.

        `path` starts with `/` and is still percent-encoded, so that an encoded `/` belongs to its parameter.
        """
        for method in self.methods.values():
            if method.verb == verb and (match := method.pattern.fullmatch(path)):
                return method, {name: unquote(value) for name, value in match.groupdict().items()}
        return None

    def read_query(self, method: Method, pairs: Sequence[tuple[str, str]], ignored: frozenset[str]) -> dict[str, Any]:
        """Return the query's values by name, typed, with defaults; repeated ones as lists.

        Parameters in `ignored` belong to a layer above. Raises ApiError (400) for what the description does not have.
        """
        found: dict[str, Any] = {}
        for name, text in pairs:
            if name in ignored:
                continue
            parameter = method.parameters.get(name) or self._everywhere.get(name)
            if parameter is None or parameter.location != "query":
                raise malformed(
                    f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                    f"Field '{name}' could not be found in request message."
                )
            value = _read_value(parameter, text)
            if parameter.is_repeated:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise malformed(f"Invalid value at '{name}': the parameter is given twice.")
            else:
                found[name] = value
        for parameter in method.parameters.values():
            if parameter.location == "query" and parameter.name not in found:
                if parameter.is_required:
                    raise malformed(f"Required parameter missing: {parameter.name}")
                if parameter.default is not None:
                    found[parameter.name] = _read_value(parameter, parameter.default)
        return found

    def faults(self, schema: str, value: object) -> list[str]:
        """Return in what ways `value` does not fit `schema`, one sentence each, with the place."""
        return list(self._checker.faults(schema, value))

    def properties(self, schema: str) -> Mapping[str, str | None]:
        """Return the properties of `schema`; each with the schema of its value or items, None for a plain value."""
        return self._checker.properties(schema)


def _methods(resource: Mapping[str, Any]) -> Iterator[Method]:
    for raw in resource.get("methods", {}).values():
        parameters = [_parameter(name, each) for name, each in raw.get("parameters", {}).items()]
        yield Method(
            id=raw["id"],
            verb=raw["httpMethod"],
            pattern=_pattern(raw["path"], raw.get("parameters", {})),
            parameters={each.name: each for each in parameters},
            request=raw.get("request", {}).get("$ref"),
            response=raw.get("response", {}).get("$ref"),
            scopes=frozenset(raw.get("scopes", ())),
            upload=_upload(raw),
        )
    for child in resource.get("resources", {}).values():
        yield from _methods(child)


def _upload(raw: Mapping[str, Any]) -> Upload | None:
    if "mediaUpload" not in raw:
        return None
    return Upload(int(raw["mediaUpload"]["maxSize"]), tuple(raw["mediaUpload"]["accept"]))


def _pattern(template: str, parameters: Mapping[str, Any]) -> re.Pattern[str]:
    # {name} is one path segment; {+name} (RFC 6570 section 3.2.3) may span several, in the form its parameter tells.
    expression = ""
    for literal, name in re.findall(r"([^{]+)|\{\+?(\w+)\}", template):
        if literal:
            expression += re.escape(literal)
        else:
            expression += f"(?P<{name}>{parameters[name].get('pattern', '[^/]+').strip('^$')})"
    return re.compile("/" + expression)


def _parameter(name: str, raw: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        location=raw["location"],
        type=raw["type"],
        format=raw.get("format"),
        is_required=raw.get("required", False),
        is_repeated=raw.get("repeated", False),
        values=frozenset(raw["enum"]) if "enum" in raw else None,
        default=raw.get("default"),
    )


def _read_value(parameter: Parameter, text: str) -> object:
    value: object = text
    if parameter.type == "boolean":
        value = {"true": True, "false": False}.get(text, text)
    elif parameter.type == "integer" and _INTEGER.fullmatch(text):
        value = int(text)
    schema = {"type": parameter.type, "format": parameter.format}
    if scalar_fault(schema, value) or (parameter.values is not None and text not in parameter.values):
        raise bad_value(parameter.name, parameter.format or parameter.type, text)
    return value


def bad_value(name: str, kind: str, text: str) -> ApiError:
    """Return the 400 of a value of the wrong type or outside its enumeration."""
    return malformed(f"Invalid value at '{name}' (TYPE_{kind.upper()}), \"{text}\"")


@functools.cache
def description(name: str) -> Description:
    """Return the description called `name`, such as `gmail.v1`; read once."""
    folder = importlib.resources.files("googleapiclient.discovery_cache.documents")
    return Description(json.loads((folder / f"{name}.json").read_text("utf-8")))
