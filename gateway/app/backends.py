"""Connectors by name. The only importer of `connectors.registry`."""

from __future__ import annotations

from collections.abc import Mapping

from connectors import registry
from connectors.api.connector import Connector
from connectors.api.credentials import CredentialSource
from connectors.api.spec import ConnectorSpec, SettingError, SettingValue
from gateway.errors import OperatorError


def available() -> tuple[ConnectorSpec, ...]:
    """Return every connector that can be used, by name."""
    return tuple(registry.find(name) for name in registry.available())


def find_connector(name: str, *, key: str, source: str | None = None) -> ConnectorSpec:
    """Return the connector called `name`; `key` and `source` say where the name was given.

    Raises:
        OperatorError: there is none, or it is broken.
    """
    try:
        return registry.find(name)
    except (registry.UnknownConnector, registry.BrokenConnector) as exc:
        raise OperatorError(str(exc), key=key, source=source) from None


def check_settings(
    spec: ConnectorSpec, settings: Mapping[str, object], *, key: str, source: str | None = None
) -> dict[str, SettingValue]:
    """Return the settings of an account as the connector takes them; `key` is the place of the settings.

    Raises:
        OperatorError: a setting is unknown, missing or wrong.
    """
    try:
        return spec.check(settings)
    except SettingError as exc:
        known = ", ".join(setting.key for setting in spec.settings)
        hint = f"; it has: {known}" if exc.key not in known.split(", ") else ""
        raise OperatorError(f"{exc.reason}{hint}", key=f"{key}.{exc.key}", source=source) from None


def build_connector(
    spec: ConnectorSpec, settings: Mapping[str, object], credentials: CredentialSource, *, key: str
) -> Connector:
    """Return a connector that is not open yet; `key` is the place of the settings.

    Raises:
        OperatorError: a setting is unknown, missing or wrong, or names what cannot be used (any more).
    """
    try:
        return spec.build(settings, credentials)
    except SettingError as exc:
        raise OperatorError(exc.reason, key=f"{key}.{exc.key}") from None
