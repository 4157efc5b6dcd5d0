"""`imap-gateway connectors`."""

from __future__ import annotations

import typer

from connectors.api.credentials import CredentialField
from connectors.api.spec import ConnectorSpec, Setting
from gateway.app.backends import available


def connectors() -> None:
    """List the kinds of backends.

    With the settings and credentials that an account of each takes.
    """
    typer.echo("\n\n".join(_described(spec) for spec in available()))


def _described(spec: ConnectorSpec) -> str:
    lines = [f"{spec.name}: {spec.title}"]
    width = max((len(setting.key) for setting in spec.settings), default=0)
    lines += [f"  {setting.key.ljust(width)}  {_explained(setting)}" for setting in spec.settings]
    for number, form in enumerate(spec.credentials):
        lines.append(f"  {'or ' if number else ''}credentials, form {form.name}: {form.title}")
        names = [_names(field) for field in form.fields]
        width = max(map(len, names))
        lines += [
            f"    {name.ljust(width)}  {field.help}{_remark(field)}"
            for name, field in zip(names, form.fields, strict=True)
        ]
    return "\n".join(lines)


def _names(field: CredentialField) -> str:
    return f"{field.key}_file, {field.key}_env" if field.is_secret else field.key


def _remark(field: CredentialField) -> str:
    if field.is_from_login:
        return " (account add finds it out)"
    return "" if field.is_required else " (optional)"


def _explained(setting: Setting) -> str:
    facts = []
    if setting.choices:
        facts.append("one of " + ", ".join(setting.choices))
    if setting.minimum is not None:
        facts.append(f"from {setting.minimum:g}")
    if setting.maximum is not None:
        facts.append(f"to {setting.maximum:g}")
    if setting.is_required:
        facts.append("required")
    elif setting.default not in (None, ""):
        default = str(setting.default).lower() if isinstance(setting.default, bool) else setting.default
        facts.append(f"default {default}")
    return setting.help + (f" ({'; '.join(facts)})" if facts else "")
