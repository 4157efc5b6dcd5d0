"""Finds connectors by name: packages `connectors.<name>`, and entry points of other distributions.

Nothing is registered by hand. A package under `connectors` is a connector if it has a `SPEC`; another distribution
offers one by an entry point in the group `imap_gateway.connectors` whose object is a `ConnectorSpec`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from importlib.metadata import EntryPoint, entry_points

import connectors
from connectors.api.spec import ConnectorSpec

ENTRY_POINT_GROUP = "imap_gateway.connectors"


class UnknownConnector(LookupError):
    """No connector of that name is installed. The text lists those that are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no connector {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


class BrokenConnector(Exception):
    """A connector is installed but cannot be used: its import fails, or its SPEC is not one."""


def find(name: str) -> ConnectorSpec:
    """Return the connector called `name`; one that comes with the gateway goes before an outside one.

    Raises:
        UnknownConnector: there is none of that name.
        BrokenConnector: there is, but it cannot be imported or does not describe itself.
    """
    # The name comes from a configuration file: nothing but a plain module name may reach the import system.
    if name.isidentifier():
        spec = _find_inside(name) or _find_outside(name)
        if spec is not None:
            return spec
    raise UnknownConnector(name, available())


def available() -> tuple[str, ...]:
    """Return the names of all connectors, sorted. One whose import fails is left out."""
    names = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name.isidentifier()}
    for module in pkgutil.iter_modules(connectors.__path__):
        try:
            if module.ispkg and _find_inside(module.name) is not None:
                names.add(module.name)
        except BrokenConnector:
            continue
    return tuple(sorted(names))


def _find_inside(name: str) -> ConnectorSpec | None:
    module_name = f"{connectors.__name__}.{name}"
    if importlib.util.find_spec(module_name) is None:
        return None
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError, AttributeError) as exc:
        raise BrokenConnector(f"connector {name!r} cannot be imported: {exc}") from exc
    spec = getattr(module, "SPEC", None)
    return None if spec is None else _checked(name, spec)


def _find_outside(name: str) -> ConnectorSpec | None:
    entries: tuple[EntryPoint, ...] = tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if not entries:
        return None
    try:
        spec = entries[0].load()
    except (ImportError, SyntaxError, AttributeError) as exc:
        raise BrokenConnector(f"connector {name!r} ({entries[0].value}) cannot be imported: {exc}") from exc
    return _checked(name, spec)


def _checked(name: str, spec: object) -> ConnectorSpec:
    if not isinstance(spec, ConnectorSpec):
        raise BrokenConnector(f"connector {name!r} has a SPEC that is not a ConnectorSpec")
    if spec.name != name:
        raise BrokenConnector(f"connector {name!r} calls itself {spec.name!r}")
    return spec
