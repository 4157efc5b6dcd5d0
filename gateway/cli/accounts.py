"""`imap-gateway account ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.api.errors import ConnectorError
from connectors.api.spec import ConnectorSpec
from gateway.accounts.credentials import open_credentials, seal_password
from gateway.app.backends import check_settings, find_connector
from gateway.app.storage import open_vault, opened_store
from gateway.cli.options import DEFAULT_CONFIG, PROGRAM, ConfigOption, YesOption, confirm, read_password, run, table
from gateway.cli.users import required_user
from gateway.config import Config, check_account_name, load
from gateway.errors import OperatorError
from gateway.store.accounts import (
    AccountRow,
    AccountState,
    account_by_name,
    accounts_of,
    add_account,
    all_accounts,
    remove_account,
    set_credentials,
)
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from gateway.store.users import list_users

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of the account.")]
_UserOption = Annotated[str, typer.Option("--user", metavar="LOGIN", help="The user it belongs to.")]
_OptionalUserOption = Annotated[str | None, typer.Option("--user", metavar="LOGIN", help="Only those of this user.")]
_ConnectorOption = Annotated[
    str, typer.Option("--connector", metavar="KIND", help=f"The kind of backend; see {PROGRAM} connectors.")
]
_SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the connector; may be given several times."),
]
_UsernameOption = Annotated[str | None, typer.Option(metavar="NAME", help="The user name at the backend.")]
_SecretStdinOption = Annotated[
    bool, typer.Option("--secret-stdin", help="Read the secret (password) from standard input, one line.")
]
_PrimaryOption = Annotated[
    bool, typer.Option("--primary", help="Of several accounts, show this one at the root instead of under its name.")
]


def build() -> typer.Typer:
    """Return the commands of `imap-gateway account`."""
    program = typer.Typer(help="Accounts: where the mail of a user is.", rich_markup_mode=None)
    program.command("add")(add)
    program.command("list")(show)
    program.command("test")(try_login)
    program.command("passwd")(passwd)
    program.command("remove")(remove)
    return program


# -- add ---------------------------------------------------------------------------------------------------------------


def add(
    name: _NameArgument,
    user: _UserOption,
    connector: _ConnectorOption,
    settings: _SetOption = None,
    username: _UsernameOption = None,
    secret_stdin: _SecretStdinOption = False,
    primary: _PrimaryOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add an account to a user.

    Asks for the secret if the connector needs one.
    """
    loaded = load(config)
    try:
        check_account_name(name)
    except ValueError as exc:
        raise OperatorError(str(exc), key="NAME") from None
    spec = find_connector(connector, key="--connector")
    given = _parsed(settings or [])
    check_settings(spec, given, key="--set")
    _check_credentials(spec, username, secret_stdin)
    run(_add(loaded, name, user, spec, given, username, secret_stdin, primary))
    typer.echo(f"Added account {name}; try it with: {PROGRAM} account test {name} --user {user}")


def _parsed(settings: list[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise OperatorError(f"{setting!r} is not of the form KEY=VALUE", key="--set")
        if key in parsed:
            raise OperatorError(f"{key} is given twice", key="--set")
        parsed[key] = value
    return parsed


def _check_credentials(spec: ConnectorSpec, username: str | None, secret_stdin: bool) -> None:
    if spec.credentials and not username:
        raise OperatorError(f"is required by connector {spec.name!r}", key="--username")
    if not spec.credentials and (username or secret_stdin):
        key = "--username" if username else "--secret-stdin"
        raise OperatorError(f"connector {spec.name!r} takes no credentials; leave it out", key=key)


async def _add(
    config: Config,
    name: str,
    login: str,
    spec: ConnectorSpec,
    settings: dict[str, str],
    username: str | None,
    secret_stdin: bool,
    is_primary: bool,
) -> None:
    async with opened_store(config) as store:
        user = await required_user(store, login, key="--user")
        others = await store.read(lambda tx: accounts_of(tx, user.id))
        primary = next((other.name for other in others if other.is_primary), None)
        if is_primary and primary is not None:
            raise OperatorError(f"{primary} is the primary account of {login} already", key="--primary")
        if any(other.name == name for other in others):
            raise OperatorError(f"{login} has an account {name!r} already; see {PROGRAM} account list", key="NAME")
        sealed = None
        if username is not None:
            secret = read_password(f"Password of {username}", from_stdin=secret_stdin, key="--secret-stdin")
            sealed = seal_password(open_vault(config), name, username, secret)
        try:
            await store.write(
                lambda tx: add_account(
                    tx, user.id, name, spec.name, spec.check(settings), credentials=sealed, is_primary=is_primary
                )
            )
        except Conflict:
            raise OperatorError(f"{login} has an account {name!r} already", key="NAME") from None


# -- list, test, passwd, remove ----------------------------------------------------------------------------------------


def show(user: _OptionalUserOption = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the accounts, their state and last error."""
    run(_show(load(config), user))


async def _show(config: Config, login: str | None) -> None:
    async def read(tx: Transaction) -> list[tuple[str, ...]]:
        logins = {user.id: user.login for user in await list_users(tx)}
        return [_described(account, logins[account.user_id]) for account in await all_accounts(tx)]

    async with opened_store(config) as store:
        if login is not None:
            login = (await required_user(store, login, key="--user")).login
        rows = [row for row in await store.read(read) if login in (None, row[1])]
    table(("NAME", "USER", "CONNECTOR", "STATE", "MANAGED IN", "LAST ERROR"), rows)


def _described(account: AccountRow, login: str) -> tuple[str, ...]:
    state = account.state.value.replace("_", " ")
    managed = "configuration" if account.is_declared else "command line"
    name = f"{account.name} (primary)" if account.is_primary else account.name
    return name, login, account.connector, state, managed, account.last_error or ""


def try_login(name: _NameArgument, user: _UserOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Log in at the backend.

    Counts its mailboxes; nothing is changed.
    """
    run(_try_login(load(config), name, user))


async def _try_login(config: Config, name: str, login: str) -> None:
    async with opened_store(config) as store:
        account = await _required_account(store, name, login)
    spec = find_connector(account.connector, key=name)
    check_settings(spec, account.settings, key=f"{name}.settings")
    source = open_credentials(open_vault(config), account.name, account.credentials)
    connector = spec.build(account.settings, source)
    typer.echo(f"Connecting with {spec.name} ...", err=True)
    try:
        await connector.open()
        mailboxes = await connector.list_mailboxes()
    except ConnectorError as exc:
        raise OperatorError(exc.operator_text, key=f"account {name}") from exc
    finally:
        await connector.close()
    counted = [mailbox.messages for mailbox in mailboxes if mailbox.messages is not None]
    total = f", {sum(counted)} messages" if counted else ""
    typer.echo(f"{name}: {len(mailboxes)} mailboxes{total}")


def passwd(
    name: _NameArgument,
    user: _UserOption,
    username: _UsernameOption = None,
    secret_stdin: _SecretStdinOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give an account a new secret.

    What is known of its mail stays. A running gateway uses the new secret after SIGHUP.
    """
    run(_passwd(load(config), name, user, username, secret_stdin))
    typer.echo(f"Changed the secret of {name}; a running gateway uses it after SIGHUP.")


async def _passwd(config: Config, name: str, login: str, username: str | None, secret_stdin: bool) -> None:
    async with opened_store(config) as store:
        account = await _required_account(store, name, login)
        if account.is_declared:
            raise OperatorError("is declared in the configuration; change the secret there", key=name)
        if account.credentials is None:
            raise OperatorError(f"connector {account.connector!r} takes no credentials", key=name)
        vault = open_vault(config)
        if username is None:
            credential = await open_credentials(vault, name, account.credentials).get()
            assert credential is not None, "the account has credentials"
            username = credential.username
        secret = read_password(f"New password of {username}", from_stdin=secret_stdin, key="--secret-stdin")
        sealed = seal_password(vault, name, username, secret)
        await store.write(lambda tx: set_credentials(tx, account.id, sealed))


def remove(
    name: _NameArgument, user: _UserOption, yes: YesOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Remove an account.

    What is known of its mail goes too; the mail itself stays at the backend.
    """
    run(_remove(load(config), name, user, yes))
    typer.echo(f"Removed account {name}.")


async def _remove(config: Config, name: str, login: str, is_confirmed: bool) -> None:
    async with opened_store(config) as store:
        account = await _required_account(store, name, login)
        if account.is_declared and account.state is not AccountState.DISABLED:
            raise OperatorError("is declared in the configuration; remove the entry there", key=name)
        confirm(f"Remove account {name} of {login} and its UID map?", is_confirmed=is_confirmed)
        await store.write(lambda tx: remove_account(tx, account.id))


async def _required_account(store: Store, name: str, login: str) -> AccountRow:
    user = await required_user(store, login, key="--user")
    account = await store.read(lambda tx: account_by_name(tx, user.id, name))
    if account is None:
        raise OperatorError(f"{login} has no account {name!r}; see {PROGRAM} account list", key="NAME")
    return account
