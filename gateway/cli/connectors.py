"""`imap-gateway connectors`."""

from __future__ import annotations

import typer

from connectors.api.spec import ConnectorSpec, Setting
from gateway.app.backends import available


def connectors() -> None:
    """List the kinds of backends.

    With the settings that an account of each takes.
    """
    typer.echo("\n\n".join(_described(spec) for spec in available()))


def _described(spec: ConnectorSpec) -> str:
    lines = [f"{spec.name}: {spec.title}{' (needs a user name and a password)' if spec.credentials else ''}"]
    width = max((len(setting.key) for setting in spec.settings), default=0)
    lines += [f"  {setting.key.ljust(width)}  {_explained(setting)}" for setting in spec.settings]
    return "\n".join(lines)


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
