"""How a connector describes itself: its name, its settings, the credentials it takes, and how to build it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from connectors.api.connector import Connector
from connectors.api.credentials import CredentialForm, CredentialSource
from connectors.api.forms import PASSWORD_FORM
from connectors.api.named import imported
from connectors.api.settings import Setting, SettingError, SettingValue

__all__ = ["ConnectorSpec", "Setting", "SettingError", "SettingValue"]


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """What the gateway knows of a connector before building one.

    `factory` is `package.module:callable`, imported when first needed; it is called with the checked settings and a
    `CredentialSource` and returns a `Connector` that is not open yet.
    `credentials` are the forms in which it takes them, of which an account fills in one; none if it takes none.
    `parser` is `package.module:callable` too, for a connector whose settings depend on each other: it is called with
    settings that are right one by one, and raises `SettingError` where they are not right together.
    """

    name: str
    title: str
    factory: str
    settings: tuple[Setting, ...]
    credentials: tuple[CredentialForm, ...] = (PASSWORD_FORM,)
    parser: str | None = None

    def check(self, settings: Mapping[str, object]) -> dict[str, SettingValue]:
        """Return the settings converted and with defaults filled in.

        Raises:
            SettingError: a key is unknown, missing or wrong, or does not go together with another.
        """
        known = {setting.key: setting for setting in self.settings}
        for key in settings:
            if key not in known:
                raise SettingError(key, f"is not a setting of connector {self.name!r}")
        checked: dict[str, SettingValue] = {}
        for key, setting in known.items():
            if key in settings:
                checked[key] = setting.convert(settings[key])
            elif setting.is_required:
                raise SettingError(key, f"is required by connector {self.name!r}")
            elif setting.default is not None:
                checked[key] = setting.default
        if self.parser is not None:
            imported(self.parser)(checked)
        return checked

    def form_named(self, name: str) -> CredentialForm:
        """Return the form of credentials with that name.

        Raises:
            SettingError: there is none, the key being the name.
        """
        for form in self.credentials:
            if form.name == name:
                return form
        raise SettingError(name, f"is not a form of credentials of connector {self.name!r}")

    def form_of(self, keys: Collection[str]) -> CredentialForm:
        """Return the form of credentials that has all of the keys, one at least, and needs no others.

        Raises:
            SettingError: there is none; the key is the one that is unknown, does not go with the others, or is missing.
        """
        fitting = [form for form in self.credentials if form.keys >= set(keys)]
        complete = next((form for form in fitting if form.required_keys <= set(keys)), None)
        if complete is not None:
            return complete
        if fitting:
            missing = next(
                key for field in fitting[0].fields if (key := field.key) in fitting[0].required_keys - set(keys)
            )
            raise SettingError(missing, f"is required; {self._forms_text()}")
        for key in keys:
            if not any(key in form.keys for form in self.credentials):
                raise SettingError(key, f"is not known; {self._forms_text()}")
        first, last = (list(keys)[index] for index in (0, -1))
        raise SettingError(last, f"does not go together with {first}; {self._forms_text()}")

    def _forms_text(self) -> str:
        if not self.credentials:
            return f"connector {self.name!r} takes no credentials"
        forms = "; or ".join(form.summary for form in self.credentials)
        return f"connector {self.name!r} takes {forms}"

    def build(self, settings: Mapping[str, object], credentials: CredentialSource) -> Connector:
        """Check the settings and build the connector.

        Raises:
            SettingError: see `check`; or a file that a setting names cannot be used.
        """
        factory: Callable[[dict[str, SettingValue], CredentialSource], Connector] = imported(self.factory)
        return factory(self.check(settings), credentials)
