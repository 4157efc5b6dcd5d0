"""Users and accounts that the configuration declares, brought into the store at the start.

Rows in the store say whether they are declared. Those that are follow the configuration; those made on the command
line are never touched. What is no longer declared cannot be used but stays, with its UIDs: a slip in the configuration
must not make every client load its mail anew. `imap-gateway account remove` forgets an account for good.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from connectors.api.credentials import Secret
from gateway.accounts.credentials import AccountCredentials, seal_credentials, unseal_credentials
from gateway.app.backends import check_settings, find_connector
from gateway.app.credentials import given_credentials
from gateway.auth.errors import VaultError
from gateway.auth.passwords import hash_password, verify_password
from gateway.auth.scram_users import keep_keys
from gateway.auth.vault import Vault
from gateway.config import AccountConfig, Config, UserConfig, read_secret
from gateway.errors import OperatorError
from gateway.store.accounts import (
    AccountRow,
    AccountState,
    accounts_of,
    add_account,
    all_accounts,
    remove_account,
    set_account_state,
    set_credentials,
    set_settings,
)
from gateway.store.database import Store, Transaction
from gateway.store.users import UserRow, replace_declared, user_by_login

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _DeclaredPassword:
    """The password of a user who is declared; its text where the configuration has that."""

    login: str
    hash: str
    text: Secret[str] | None


@dataclass(frozen=True, slots=True)
class _DeclaredAccount:
    """An account as it is declared: settings checked, secrets read."""

    name: str
    login: str
    connector: str
    settings: dict[str, object]
    credentials: AccountCredentials | None
    is_primary: bool


async def apply_declared(store: Store, vault: Vault, config: Config, source: str) -> None:
    """Make the declared users and accounts of the store those of the configuration, in one transaction.

    Raises:
        OperatorError: a secret cannot be read, or a name is taken by what was made on the command line.
    """
    known = await store.read(lambda tx: _known_users(tx, config))
    passwords = [_password(user, known[user.login], source) for user in config.users]
    accounts = [_declared(account, source) for account in config.accounts]

    async def body(tx: Transaction) -> None:
        for user in await replace_declared(tx, [(password.login, password.hash) for password in passwords]):
            log.warning("user %s is no longer declared and cannot log in any more", user.login)
        for password in passwords:
            await _keep_keys(tx, vault, password)
        await _replace_accounts(tx, vault, accounts, source)

    await store.write(body)


async def _known_users(tx: Transaction, config: Config) -> dict[str, UserRow | None]:
    return {user.login: await user_by_login(tx, user.login) for user in config.users}


async def _keep_keys(tx: Transaction, vault: Vault, password: _DeclaredPassword) -> None:
    """Make what SCRAM needs, where the configuration has more than a hash."""
    user = await user_by_login(tx, password.login)
    assert user is not None, "declared users are in the store already"
    if password.text is not None:
        await keep_keys(tx, vault, user.id, password.hash, password.text.reveal())


def _password(user: UserConfig, known: UserRow | None, source: str) -> _DeclaredPassword:
    key = f"users[{user.login}]"
    # Without a password it was declared before, and may be so again.
    if known is not None and not known.is_declared and known.password_hash is not None:
        text = "there is a user of that login made on the command line; remove one of the two"
        raise OperatorError(text, key=key, source=source)
    if user.password_hash is not None:
        return _DeclaredPassword(user.login, user.password_hash, None)
    secret = read_secret(user.password_file, user.password_env, key=f"{key}.password")
    # The same password keeps its hash: a new salt would say that something changed at every start.
    if known is not None and known.password_hash is not None and verify_password(known.password_hash, secret.reveal()):
        return _DeclaredPassword(user.login, known.password_hash, secret)
    return _DeclaredPassword(user.login, hash_password(secret.reveal()), secret)


def _declared(account: AccountConfig, source: str) -> _DeclaredAccount:
    key = f"accounts[{account.name}]"
    spec = find_connector(account.connector, key=f"{key}.connector", source=source)
    check_settings(spec, account.settings, key=f"{key}.settings", source=source)
    credentials = given_credentials(spec, account.credentials, key=f"{key}.credentials", source=source)
    return _DeclaredAccount(
        account.name, account.user, account.connector, dict(account.settings), credentials, account.primary
    )


async def _replace_accounts(tx: Transaction, vault: Vault, declared: list[_DeclaredAccount], source: str) -> None:
    kept: set[int] = set()
    for account in declared:
        user = await user_by_login(tx, account.login)
        assert user is not None, "declared users are in the store already"
        rows = {row.name: row for row in await accounts_of(tx, user.id)}
        kept.add(await _replace_account(tx, vault, user.id, rows.get(account.name), account, source))
    for row in await all_accounts(tx):
        if row.is_declared and row.id not in kept and row.state is not AccountState.DISABLED:
            log.warning("account %s is no longer declared and is not used any more", row.name)
            await set_account_state(tx, row.id, AccountState.DISABLED, "it is no longer declared")


async def _replace_account(
    tx: Transaction, vault: Vault, user_id: int, row: AccountRow | None, account: _DeclaredAccount, source: str
) -> int:
    """Bring one account into the store and return its id."""
    if row is not None and not row.is_declared:
        text = f"user {account.login} has an account of that name made on the command line; remove one of the two"
        raise OperatorError(text, key=f"accounts[{account.name}]", source=source)
    if row is not None and row.connector != account.connector:
        # Another kind of backend: what is known of the mail there says nothing about the mail here.
        await remove_account(tx, row.id)
        row = None
    if row is None:
        row = await add_account(
            tx,
            user_id,
            account.name,
            account.connector,
            account.settings,
            credentials=_sealed(vault, account, None),
            is_declared=True,
            is_primary=account.is_primary,
        )
        return row.id
    await set_settings(tx, row.id, account.connector, account.settings, is_declared=True, is_primary=account.is_primary)
    await set_credentials(tx, row.id, _sealed(vault, account, row.credentials))
    if row.state is AccountState.DISABLED:
        await set_account_state(tx, row.id, AccountState.NEW, None)
    return row.id


def _sealed(vault: Vault, account: _DeclaredAccount, stored: bytes | None) -> bytes | None:
    """Return what the store is to keep: what it has, if that is from what is declared, as refreshed tokens are."""
    if account.credentials is None:
        return None
    if stored is not None and _is_from(vault, account.name, stored, account.credentials):
        return stored
    return seal_credentials(vault, account.name, account.credentials)


def _is_from(vault: Vault, name: str, stored: bytes, declared: AccountCredentials) -> bool:
    try:
        return unseal_credentials(vault, name, stored).is_from(declared)
    except VaultError:
        return False
