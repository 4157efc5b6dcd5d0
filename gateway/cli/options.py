"""What several commands share: the configuration option, pairs, passwords from the terminal or a pipe, questions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from connectors.api.credentials import Secret
from gateway.errors import OperatorError

T = TypeVar("T")

PROGRAM = "imap-gateway"
DEFAULT_CONFIG = Path("/etc/imap-gateway/gateway.toml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar="IMAP_GATEWAY_CONFIG", help="The configuration file."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def read_password(prompt: str, *, from_stdin: bool, key: str) -> Secret[str]:
    """Return a password: one line of standard input, or typed twice at the terminal.

    Raises:
        OperatorError: it is empty or no text, or there is no terminal to ask at.
    """
    if from_stdin:
        try:
            text = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
            # Some locales let octets through that they cannot decode.
            text.encode()
        except UnicodeError:
            raise OperatorError("is not UTF-8 text", key=key) from None
    elif sys.stdin.isatty():
        text = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    else:
        raise OperatorError("there is no terminal to ask at; pipe it in and say so with this option", key=key)
    if not text:
        raise OperatorError("is empty; pipe it in as one line", key=key)
    return Secret(text)


def parse_pairs(pairs: Sequence[str], *, key: str) -> dict[str, str]:
    """Return options of the form KEY=VALUE as a mapping; `key` is the name of the option.

    Raises:
        OperatorError: one has another form, or a key comes twice.
    """
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise OperatorError(f"{pair!r} is not of the form KEY=VALUE", key=key)
        if name in parsed:
            raise OperatorError(f"{name} is given twice", key=key)
        parsed[name] = value
    return parsed


def confirm(question: str, *, is_confirmed: bool) -> None:
    """Ask, unless it was confirmed by an option; leave if the answer is no.

    Raises:
        OperatorError: there is no terminal to ask at.
    """
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise OperatorError("there is no terminal to ask at; confirm with this option", key="--yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows under a header in aligned columns, two spaces apart."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
