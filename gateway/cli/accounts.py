"""`imap-gateway account ...`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from connectors.api.credentials import CredentialForm
from connectors.api.errors import AuthExpired, ConnectorError
from connectors.api.spec import ConnectorSpec
from gateway.accounts.credentials import (
    AccountCredentials,
    Values,
    credential_source,
    seal_credentials,
    unseal_credentials,
)
from gateway.app.backends import build_connector, check_settings, find_connector
from gateway.app.credentials import GivenFields
from gateway.app.storage import open_vault, opened_store
from gateway.cli.credentials import choose_form, fill_in, options_given
from gateway.cli.dialog import TerminalDialog
from gateway.cli.options import DEFAULT_CONFIG, PROGRAM, ConfigOption, YesOption, confirm, parse_pairs, run, table
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
_CredentialOption = Annotated[
    list[str] | None,
    typer.Option(
        "--credential",
        metavar="KEY=VALUE",
        help="A field of the credentials, a secret one as KEY_file or KEY_env; may be given several times.",
    ),
]
_FormOption = Annotated[
    str | None, typer.Option("--form", metavar="NAME", help="The form of credentials, if the connector takes several.")
]
_SecretStdinOption = Annotated[
    bool, typer.Option("--secret-stdin", help="Read the secret (password, token) from standard input, one line.")
]
_LoginPortOption = Annotated[
    int,
    typer.Option(
        "--login-port",
        metavar="PORT",
        min=0,
        max=65535,
        help="The port of 127.0.0.1 to which a browser comes back after a login; 0 for a free one.",
    ),
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
    credential: _CredentialOption = None,
    form: _FormOption = None,
    secret_stdin: _SecretStdinOption = False,
    login_port: _LoginPortOption = 0,
    primary: _PrimaryOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add an account to a user.

    Asks for the secret if the connector needs one, or leads through the login in a browser.
    """
    loaded = load(config)
    try:
        check_account_name(name)
    except ValueError as exc:
        raise OperatorError(str(exc), key="NAME") from None
    spec = find_connector(connector, key="--connector")
    given = parse_pairs(settings or [], key="--set")
    checked = check_settings(spec, given, key="--set")
    fields = options_given(spec, username, credential or [], asks_stdin=secret_stdin)
    chosen = choose_form(spec, fields, form, from_stdin=secret_stdin) if spec.credentials else None

    async def ask() -> AccountCredentials | None:
        if chosen is None:
            return None
        return await fill_in(chosen, fields, checked, TerminalDialog(login_port), from_stdin=secret_stdin)

    run(_add(loaded, name, user, spec, given, ask, primary))
    typer.echo(f"Added account {name}; try it with: {PROGRAM} account test {name} --user {user}")


async def _add(
    config: Config,
    name: str,
    login: str,
    spec: ConnectorSpec,
    settings: dict[str, str],
    ask: Callable[[], Awaitable[AccountCredentials | None]],
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
        credentials = await ask()
        sealed = seal_credentials(open_vault(config), name, credentials) if credentials is not None else None
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
    # The store stays open: a connector may be given a new token, which has to be kept.
    async with opened_store(config) as store:
        account = await _required_account(store, name, login)
        spec = find_connector(account.connector, key=name)
        settings = check_settings(spec, account.settings, key=f"{name}.settings")
        vault = open_vault(config)
        source = credential_source(spec, settings, vault, store, account.id, account.name, account.credentials)
        connector = build_connector(spec, account.settings, source, key=f"{name}.settings")
        typer.echo(f"Connecting with {spec.name} ...", err=True)
        try:
            await connector.open()
            mailboxes = await connector.list_mailboxes()
        except ConnectorError as exc:
            advice = _advice(account, login) if isinstance(exc, AuthExpired) else ""
            raise OperatorError(exc.operator_text + advice, key=f"account {name}") from exc
        finally:
            await connector.close()
    counted = [mailbox.messages for mailbox in mailboxes if mailbox.messages is not None]
    total = f", {sum(counted)} messages" if counted else ""
    typer.echo(f"{name}: {len(mailboxes)} mailboxes{total}")


def _advice(account: AccountRow, login: str) -> str:
    """Return how to give other credentials."""
    if account.is_declared:
        return "; change the credentials in the configuration"
    return f"; give other credentials with: {PROGRAM} account passwd {account.name} --user {login}"


def passwd(
    name: _NameArgument,
    user: _UserOption,
    username: _UsernameOption = None,
    credential: _CredentialOption = None,
    form: _FormOption = None,
    secret_stdin: _SecretStdinOption = False,
    login_port: _LoginPortOption = 0,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give an account a new secret.

    What is known of its mail stays. A running gateway uses the new secret after SIGHUP.
    """
    run(_passwd(load(config), name, user, username, credential or [], form, secret_stdin, login_port))
    typer.echo(f"Changed the secret of {name}; a running gateway uses it after SIGHUP.")


async def _passwd(
    config: Config,
    name: str,
    login: str,
    username: str | None,
    pairs: Sequence[str],
    form_name: str | None,
    from_stdin: bool,
    login_port: int,
) -> None:
    async with opened_store(config) as store:
        account = await _required_account(store, name, login)
        if account.is_declared:
            raise OperatorError("is declared in the configuration; change the secret there", key=name)
        spec = find_connector(account.connector, key=name)
        if not spec.credentials:
            raise OperatorError(f"connector {account.connector!r} takes no credentials", key=name)
        vault = open_vault(config)
        fields = options_given(spec, username, pairs, asks_stdin=from_stdin)
        stored = unseal_credentials(vault, name, account.credentials) if account.credentials is not None else None
        form, known = _form_for_change(spec, fields, form_name, stored, from_stdin=from_stdin)
        settings = check_settings(spec, account.settings, key=f"{name}.settings")
        dialog = TerminalDialog(login_port)
        filled = await fill_in(form, fields, settings, dialog, from_stdin=from_stdin, known=known)
        sealed = seal_credentials(vault, name, filled)
        await store.write(lambda tx: set_credentials(tx, account.id, sealed))


def _form_for_change(
    spec: ConnectorSpec, fields: GivenFields, name: str | None, stored: AccountCredentials | None, *, from_stdin: bool
) -> tuple[CredentialForm, Values]:
    """Return the form to fill in, by default the one that was filled in before, and what is known already."""
    former = next((form for form in spec.credentials if stored is not None and form.name == stored.form), None)
    is_former = name == former.name if name is not None and former is not None else name is None
    if former is not None and stored is not None and is_former and former.keys >= set(fields.keys):
        return former, stored.values
    return choose_form(spec, fields, name, from_stdin=from_stdin), {}


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
