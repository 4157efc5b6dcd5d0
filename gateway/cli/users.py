"""`imap-gateway user ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.api.credentials import Secret
from gateway.app.storage import open_vault, opened_store
from gateway.auth.passwords import hash_password
from gateway.auth.scram_users import keep_keys
from gateway.cli.options import DEFAULT_CONFIG, PROGRAM, ConfigOption, YesOption, confirm, read_password, run, table
from gateway.config import Config, check_login, load
from gateway.errors import OperatorError
from gateway.store.accounts import accounts_of
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from gateway.store.users import UserRow, add_user, list_users, remove_user, set_password_hash, user_by_login

LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN", help="The name that mail clients log in with.")]
_PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]


def build() -> typer.Typer:
    """Return the commands of `imap-gateway user`."""
    program = typer.Typer(help="Users: who may log in.", rich_markup_mode=None)
    program.command("add")(add)
    program.command("list")(show)
    program.command("passwd")(passwd)
    program.command("remove")(remove)
    return program


async def required_user(store: Store, login: str, *, key: str) -> UserRow:
    """Return the user of that login; `key` is the argument that named it.

    Raises:
        OperatorError: there is none.
    """
    user = await store.read(lambda tx: user_by_login(tx, login))
    if user is None:
        raise OperatorError(f"there is no user {login!r}; see {PROGRAM} user list", key=key)
    return user


def add(
    login: LoginArgument, password_stdin: _PasswordStdinOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Add a user.

    Asks for the password.
    """
    loaded = load(config)
    try:
        check_login(login)
    except ValueError as exc:
        raise OperatorError(str(exc), key="LOGIN") from None
    password = read_password(f"Password of {login}", from_stdin=password_stdin, key="--password-stdin")
    run(_add(loaded, login, password))
    typer.echo(f"Added user {login}; add an account with: {PROGRAM} account add NAME --user {login} --connector ...")


async def _add(config: Config, login: str, password: Secret[str]) -> None:
    hashed = hash_password(password.reveal())
    vault = open_vault(config)

    async def body(tx: Transaction) -> None:
        user = await add_user(tx, login, hashed)
        await keep_keys(tx, vault, user.id, hashed, password.reveal())

    async with opened_store(config) as store:
        try:
            await store.write(body)
        except Conflict:
            text = f"there is a user {login!r} already; change the password with {PROGRAM} user passwd {login}"
            raise OperatorError(text, key="LOGIN") from None


def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the users."""
    run(_show(load(config)))


async def _show(config: Config) -> None:
    async def read(tx: Transaction) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for user in await list_users(tx):
            managed = "configuration" if user.is_declared else "command line"
            login = "password" if user.password_hash else "none"
            rows.append((user.login, login, str(len(await accounts_of(tx, user.id))), managed))
        return rows

    async with opened_store(config) as store:
        table(("LOGIN", "LOGIN BY", "ACCOUNTS", "MANAGED IN"), await store.read(read))


def passwd(
    login: LoginArgument, password_stdin: _PasswordStdinOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Change a password."""
    run(_passwd(load(config), login, password_stdin))
    typer.echo(f"Changed the password of {login}.")


async def _passwd(config: Config, login: str, from_stdin: bool) -> None:
    async with opened_store(config) as store:
        user = await required_user(store, login, key="LOGIN")
        if user.is_declared:
            raise OperatorError("is declared in the configuration; change the password there", key=login)
        password = read_password(f"New password of {login}", from_stdin=from_stdin, key="--password-stdin")
        hashed = hash_password(password.reveal())
        vault = open_vault(config)

        async def body(tx: Transaction) -> None:
            await set_password_hash(tx, user.id, hashed)
            await keep_keys(tx, vault, user.id, hashed, password.reveal())

        await store.write(body)


def remove(login: LoginArgument, yes: YesOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Remove a user.

    Their accounts and what is known of their mail go too; the mail itself stays at the backends.
    """
    run(_remove(load(config), login, yes))
    typer.echo(f"Removed user {login}.")


async def _remove(config: Config, login: str, is_confirmed: bool) -> None:
    async with opened_store(config) as store:
        user = await required_user(store, login, key="LOGIN")
        if user.is_declared:
            raise OperatorError("is declared in the configuration; remove the entry there first", key=login)
        accounts = await store.read(lambda tx: accounts_of(tx, user.id))
        confirm(f"Remove user {login} with {len(accounts)} account(s) and their UID maps?", is_confirmed=is_confirmed)
        await store.write(lambda tx: remove_user(tx, user.id))
