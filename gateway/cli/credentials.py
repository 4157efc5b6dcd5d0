"""Filling in one of a connector's forms of credentials from options, files and what is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.api.credentials import CredentialField, CredentialForm, Secret
from connectors.api.spec import ConnectorSpec, SettingError
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


def choose_form(spec: ConnectorSpec, fields: GivenFields, name: str | None) -> CredentialForm:
    """Return the form called `name`, or else the first that fits what is given and lacks only what can be asked for.

    Raises:
        OperatorError: there is none.
    """
    if name is not None:
        try:
            form = spec.form_named(name)
        except SettingError as exc:
            known = ", ".join(form.name for form in spec.credentials)
            raise OperatorError(f"{name} {exc.reason}; it has: {known}", key="--form") from None
        _check_complete(spec, form, fields)
        return form
    for form in spec.credentials:
        asked = {field.key for field in form.fields if field.is_secret}
        if form.keys >= set(fields.keys) and form.required_keys - asked <= set(fields.keys):
            return form
    if len(spec.credentials) == 1:
        _check_complete(spec, spec.credentials[0], fields)
    return form_of(spec, fields, key=OPTION)


def _check_complete(spec: ConnectorSpec, form: CredentialForm, fields: GivenFields) -> None:
    for key in fields.keys:
        if key not in form.keys:
            raise OperatorError(f"is not taken with form {form.name}; it takes {form.summary}", key=f"{OPTION}.{key}")
    for field in form.fields:
        if field.is_required and not field.is_secret and field.key not in fields.plain:
            option = "--username" if field.key == "username" else f"{OPTION}.{field.key}"
            raise OperatorError(f"is required by connector {spec.name!r}", key=option)


def fill_in(
    form: CredentialForm,
    fields: GivenFields,
    *,
    from_stdin: bool,
    known: Mapping[str, Secret[str]] | None = None,
) -> AccountCredentials:
    """Return the form filled in: what was given, else what is `known` of fields that are no secret, else what is typed.

    Required secrets that are not given by file or variable are asked for in the order of the form: at the terminal, or
    one line of standard input each.

    Raises:
        OperatorError: a secret is empty or cannot be read.
    """
    values = {
        field.key: known[field.key] for field in form.fields if known and not field.is_secret and field.key in known
    }
    values.update(fields.read(key=OPTION))
    owner = values["username"].reveal() if "username" in values else None
    for field in form.fields:
        if field.is_secret and field.is_required and field.key not in values:
            values[field.key] = read_password(_prompt(field, owner), from_stdin=from_stdin, key="--secret-stdin")
    return AccountCredentials(form.name, values)


def _prompt(field: CredentialField, owner: str | None) -> str:
    name = field.key.replace("_", " ").capitalize()
    return f"{name} of {owner}" if owner is not None else f"{name} ({field.help})"
