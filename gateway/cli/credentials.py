"""Filling in one of a connector's forms of credentials from options, files and what is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.api.credentials import CredentialField, CredentialForm, LoginDialog, Secret
from connectors.api.errors import ConnectorError
from connectors.api.spec import ConnectorSpec, SettingError, SettingValue
from gateway.accounts.credentials import AccountCredentials
from gateway.app.credentials import GivenFields, form_of, sort_fields
from gateway.cli.options import parse_pairs, read_password
from gateway.errors import OperatorError

OPTION = "--credential"


def options_given(spec: ConnectorSpec, username: str | None, pairs: Sequence[str], *, asks_stdin: bool) -> GivenFields:
    """Sort what the options give; `--username NAME` is short for `--credential username=NAME`.

    Raises:
        OperatorError: the connector takes no credentials, or not these.
    """
    given = parse_pairs(pairs, key=OPTION)
    if username is not None:
        if "username" in given:
            raise OperatorError("is given twice", key="--username")
        given = {"username": username, **given}
    if not spec.credentials and (given or asks_stdin):
        key = "--username" if username is not None else OPTION if given else "--secret-stdin"
        raise OperatorError(f"connector {spec.name!r} takes no credentials; leave it out", key=key)
    return sort_fields(spec, given, key=OPTION)


def choose_form(
    spec: ConnectorSpec, fields: GivenFields, name: str | None, *, from_stdin: bool = False
) -> CredentialForm:
    """Return the form called `name`, or else the first that fits what is given and lacks only what can be asked for.

    A form's login asks for anything that is missing; there is none if `from_stdin`.

    Raises:
        OperatorError: there is none.
    """
    if name is not None:
        try:
            form = spec.form_named(name)
        except SettingError as exc:
            known = ", ".join(form.name for form in spec.credentials)
            raise OperatorError(f"{name} {exc.reason}; it has: {known}", key="--form") from None
        _check_complete(spec, form, fields, from_stdin=from_stdin)
        return form
    for form in spec.credentials:
        asked = {field.key for field in form.fields if field.is_secret or _has_login(form, from_stdin)}
        if form.keys >= set(fields.keys) and form.required_keys - asked <= set(fields.keys):
            return form
    if len(spec.credentials) == 1:
        _check_complete(spec, spec.credentials[0], fields, from_stdin=from_stdin)
    return form_of(spec, fields, key=OPTION)


def _has_login(form: CredentialForm, from_stdin: bool) -> bool:
    return form.login is not None and not from_stdin


def _check_complete(spec: ConnectorSpec, form: CredentialForm, fields: GivenFields, *, from_stdin: bool) -> None:
    for key in fields.keys:
        if key not in form.keys:
            raise OperatorError(f"is not taken with form {form.name}; it takes {form.summary}", key=f"{OPTION}.{key}")
    if _has_login(form, from_stdin):
        return
    for field in form.fields:
        if field.is_required and not field.is_secret and field.key not in fields.plain:
            option = "--username" if field.key == "username" else f"{OPTION}.{field.key}"
            raise OperatorError(f"is required by connector {spec.name!r}", key=option)


async def fill_in(
    form: CredentialForm,
    fields: GivenFields,
    settings: Mapping[str, SettingValue],
    dialog: LoginDialog,
    *,
    from_stdin: bool,
    known: Mapping[str, Secret[str]] | None = None,
) -> AccountCredentials:
    """Return the form filled in: what was given, else what is `known` and need not be given anew, else what is asked.

    Required secrets that are not given by file or variable are asked for in the order of the form: at the terminal, or
    one line of standard input each. Those that the form's login finds out come of that, unless standard input has
    them. `settings` are the checked settings of the account.

    Raises:
        OperatorError: a secret is empty or cannot be read, or the login came to nothing.
    """
    has_login = _has_login(form, from_stdin)
    values = {
        field.key: known[field.key] for field in form.fields if known and _stays(form, field) and field.key in known
    }
    values.update(fields.read(key=OPTION))
    owner = values["username"].reveal() if "username" in values else None
    for field in form.fields:
        is_asked = field.is_secret and field.is_required and not (has_login and field.is_from_login)
        if is_asked and field.key not in values:
            values[field.key] = read_password(_prompt(field, owner), from_stdin=from_stdin, key="--secret-stdin")
    if has_login and any(field.is_from_login and field.key not in values for field in form.fields):
        try:
            values = dict(await form.log_in(values, settings, dialog))
        except ConnectorError as exc:
            raise OperatorError(exc.operator_text, key="login") from exc
        _check_found(form, values)
    return AccountCredentials(form.name, values)


def _stays(form: CredentialForm, field: CredentialField) -> bool:
    """Tell whether what was given for a field before still holds: a login makes new only what it finds out."""
    return not field.is_from_login if form.login is not None else not field.is_secret


def _check_found(form: CredentialForm, values: Mapping[str, Secret[str]]) -> None:
    for key in form.required_keys:
        if key not in values or not values[key].reveal():
            raise OperatorError("is missing", key=f"{OPTION}.{key}")


def _prompt(field: CredentialField, owner: str | None) -> str:
    name = field.key.replace("_", " ").capitalize()
    return f"{name} of {owner}" if owner is not None else f"{name} ({field.help})"
