"""`imap-gateway app-password ...`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.app.storage import open_vault, opened_store
from gateway.auth.passwords import generate_app_password, hash_app_password
from gateway.auth.scram_users import keep_keys
from gateway.cli.options import DEFAULT_CONFIG, PROGRAM, ConfigOption, run, table
from gateway.cli.users import LoginArgument, required_user
from gateway.config import Config, load
from gateway.errors import OperatorError
from gateway.store.database import Transaction
from gateway.store.errors import Conflict
from gateway.store.users import add_app_password, app_passwords_of, remove_app_password

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What it is for: a device or a program.")]


def build() -> typer.Typer:
    """Return the commands of `imap-gateway app-password`."""
    program = typer.Typer(help="App passwords: one for each device, to be taken back alone.", rich_markup_mode=None)
    program.command("add")(add)
    program.command("list")(show)
    program.command("remove")(remove)
    return program


def add(login: LoginArgument, name: _NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new app password.

    It is printed, alone on its line, and cannot be shown again.
    """
    typer.echo(run(_add(load(config), login, name)))


async def _add(config: Config, login: str, name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise OperatorError("must be a text without control characters", key="NAME")
    password = generate_app_password()
    hashed = hash_app_password(password)
    vault = open_vault(config)
    async with opened_store(config) as store:
        user = await required_user(store, login, key="LOGIN")

        async def body(tx: Transaction) -> None:
            await add_app_password(tx, user.id, name, hashed)
            await keep_keys(tx, vault, user.id, hashed, password)

        try:
            await store.write(body)
        except Conflict:
            text = f"{login} has an app password {name!r} already; take it back first or choose another name"
            raise OperatorError(text, key="NAME") from None
    return password


def show(login: LoginArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the app passwords of a user."""
    run(_show(load(config), login))


async def _show(config: Config, login: str) -> None:
    async with opened_store(config) as store:
        user = await required_user(store, login, key="LOGIN")
        rows = await store.read(lambda tx: app_passwords_of(tx, user.id))
    table(("NAME", "MADE"), [(row.name, f"{datetime.fromtimestamp(row.created, UTC):%Y-%m-%d}") for row in rows])


def remove(login: LoginArgument, name: _NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Take an app password back.

    Whoever is logged in with it stays so until the connection ends.
    """
    run(_remove(load(config), login, name))
    typer.echo(f"Removed app password {name} of {login}.")


async def _remove(config: Config, login: str, name: str) -> None:
    async with opened_store(config) as store:
        user = await required_user(store, login, key="LOGIN")
        if not await store.write(lambda tx: remove_app_password(tx, user.id, name)):
            text = f"{login} has no app password {name!r}; see {PROGRAM} app-password list {login}"
            raise OperatorError(text, key="NAME")
