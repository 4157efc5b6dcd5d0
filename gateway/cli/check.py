"""`imap-gateway check`."""

from __future__ import annotations

import typer

from gateway.app.inspection import inspect
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import ConfigError, load


def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say what is wrong with a configuration.

    One line per problem, with file and key; nothing is started or changed.
    """
    problems = inspect(load(config), str(config))
    if problems:
        raise ConfigError(problems)
    typer.echo(f"{config}: no problem found")
