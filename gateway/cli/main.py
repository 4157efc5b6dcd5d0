"""The command line as a whole: its commands, and how an error is told."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import gateway
from gateway.cli import accounts, app_passwords, check, connectors, demo, serve, store, users
from gateway.cli.options import PROGRAM
from gateway.errors import GatewayError

USAGE = 2
FAILED = 1
INTERRUPTED = 130

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def build() -> typer.Typer:
    """Return the commands. Without rich's boxes: help and errors are plain text that can be searched and piped."""
    program = typer.Typer(
        name=PROGRAM,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    program.callback(help="An IMAP server in front of other mail servers and mail stores.")(_global_options)
    program.command("serve")(serve.serve)
    program.command("check")(check.check)
    program.command("demo")(demo.demo)
    program.command("connectors")(connectors.connectors)
    program.add_typer(users.build(), name="user")
    program.add_typer(app_passwords.build(), name="app-password")
    program.add_typer(accounts.build(), name="account")
    program.add_typer(store.build(), name="store")
    return program


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""
    if sys.stdin is None:
        # Whoever started us has closed it: there is nobody to ask and nothing to read.
        sys.stdin = io.StringIO()
    command = typer.main.get_command(build())
    words = list(sys.argv[1:] if arguments is None else arguments)
    if odd := [word for word in words if not _is_text(word)]:
        _say(f"{ascii(os.fsencode(odd[0]))[1:]} is not UTF-8 text; see {PROGRAM} --help")
        return USAGE
    try:
        outcome = command.main(args=words or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except GatewayError as exc:
        for line in exc.operator_text.splitlines():
            _say(line)
        return FAILED
    except typer.TyperException as exc:
        path = getattr(getattr(exc, "ctx", None), "command_path", PROGRAM)
        _say(f"{exc.format_message().rstrip('.')}; see {path} --help")
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        _say("stopped")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does.
        _give_output_up()
        return FAILED
    except OSError as exc:
        # Of files the error names the file; what is left is what we print.
        if exc.errno not in _NO_ROOM or exc.filename is not None:
            raise
        _say(f"cannot write: {exc.strerror}")
        _give_output_up()
        return FAILED
    return outcome if isinstance(outcome, int) else 0


def _give_output_up() -> None:
    """Keep the interpreter from failing on standard output again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_text(word: str) -> bool:
    """Tell whether a word has no octets that could not be decoded, and that neither names nor secrets can have."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _say(line: str) -> None:
    typer.echo(f"{PROGRAM}: {line}", err=True)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"{PROGRAM} {gateway.__version__}")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that stand before a command; each acts by itself."""
