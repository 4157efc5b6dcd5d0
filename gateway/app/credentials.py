"""Credentials as they are given, in the configuration or on the command line, sorted into one of a connector's forms.

A secret field KEY is never given itself: `KEY_file` names a file that holds it, `KEY_env` an environment variable. Any
other field is given as KEY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.api.credentials import CredentialForm, Secret
from connectors.api.spec import ConnectorSpec, SettingError
from gateway.accounts.credentials import AccountCredentials
from gateway.config import read_secret
from gateway.errors import OperatorError

_SUFFIXES = ("_file", "_env")


@dataclass(frozen=True, slots=True)
class GivenFields:
    """What was given, by field: `plain` values themselves, and for secret fields where they are.

    `places` maps a field to (file, environment variable), of which one is None.
    """

    plain: Mapping[str, str]
    places: Mapping[str, tuple[Path | None, str | None]]

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.plain, *self.places)

    def read(self, *, key: str) -> dict[str, Secret[str]]:
        """Return the values, the secret ones read from where they are.

        Raises:
            OperatorError: one cannot be read, or is empty.
        """
        values = {name: Secret(value) for name, value in self.plain.items()}
        for name, (file, variable) in self.places.items():
            values[name] = read_secret(file, variable, key=f"{key}.{name}")
        return values


def sort_fields(spec: ConnectorSpec, given: Mapping[str, str], *, key: str) -> GivenFields:
    """Tell what the keys given are, by the forms that the connector takes; `key` is the place of all of them.

    Raises:
        OperatorError: a key is unknown, is a secret itself, has no value, or comes twice.
    """
    secret = {field.key for form in spec.credentials for field in form.fields if field.is_secret}
    plain: dict[str, str] = {}
    places: dict[str, tuple[Path | None, str | None]] = {}
    for name, value in given.items():
        base, suffix = _split(name, secret)
        if base in secret and not suffix:
            text = f"is a secret and is not written here; give {base}_file or {base}_env"
            raise OperatorError(text, key=f"{key}.{name}")
        if not value:
            raise OperatorError("is empty", key=f"{key}.{name}")
        if base in places:
            raise OperatorError(f"give {base}_file or {base}_env, not both", key=key)
        if suffix:
            places[base] = (Path(value), None) if suffix == "_file" else (None, value)
        else:
            plain[base] = value
    return GivenFields(plain, places)


def _split(name: str, secret: set[str]) -> tuple[str, str]:
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in secret:
            return name.removesuffix(suffix), suffix
    return name, ""


def form_of(spec: ConnectorSpec, fields: GivenFields, *, key: str) -> CredentialForm:
    """Return the form that is meant by the fields given.

    Raises:
        OperatorError: there is none, or a field is missing.
    """
    try:
        return spec.form_of(fields.keys)
    except SettingError as exc:
        raise OperatorError(exc.reason, key=f"{key}.{exc.key}") from None


def given_credentials(
    spec: ConnectorSpec, given: Mapping[str, str] | None, *, key: str, source: str | None = None
) -> AccountCredentials | None:
    """Return the credentials that the configuration gives for an account; None for a connector that takes none.

    Raises:
        OperatorError: they are missing, not taken, wrong, or a secret cannot be read.
    """
    try:
        if given is None:
            if spec.credentials:
                raise OperatorError(f"are required by connector {spec.name!r}", key=key)
            return None
        if not spec.credentials:
            raise OperatorError(f"are not taken by connector {spec.name!r}; remove them", key=key)
        fields = sort_fields(spec, given, key=key)
        form = form_of(spec, fields, key=key)
        return AccountCredentials(form.name, fields.read(key=key))
    except OperatorError as exc:
        text = exc.operator_text.removeprefix(f"{exc.key}: ")
        raise OperatorError(text, key=exc.key, source=source) from None
