"""The backend logins of a user."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, func, insert, select, update

from gateway.store.object_ids import new_tag
from gateway.store.statements import Row, is_in
from gateway.store.tables import accounts, users
from gateway.store.transaction import Transaction


class AccountState(enum.StrEnum):
    """How an account is doing.

    NEW: never reached. ACTIVE: the last contact went well. UNAVAILABLE: the backend could not be reached.
    NEEDS_LOGIN: a person must log in again. DISABLED: not to be used.
    """

    NEW = "new"
    ACTIVE = "active"
    UNAVAILABLE = "unavailable"
    NEEDS_LOGIN = "needs_login"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One login at one backend.

    `credentials` are sealed; `is_declared`: it is in the configuration; `is_primary`: of several accounts of the user
    the one whose mailboxes are at the root.
    """

    id: int
    user_id: int
    name: str
    connector: str
    settings: dict[str, object]
    credentials: bytes | None = field(repr=False)
    cursor: str | None
    state: AccountState
    last_error: str | None
    is_declared: bool
    is_primary: bool = False


_COLUMNS = (
    accounts.c.id,
    accounts.c.user_id,
    accounts.c.name,
    accounts.c.connector,
    accounts.c.settings,
    accounts.c.credentials,
    accounts.c.cursor,
    accounts.c.state,
    accounts.c.last_error,
    accounts.c.is_declared,
    accounts.c.is_primary,
)
_IS_IT = accounts.c.id == bindparam("account_id")
_BY_ID = select(*_COLUMNS).where(_IS_IT)
_BY_NAME = select(*_COLUMNS).where(accounts.c.user_id == bindparam("user_id"), accounts.c.name == bindparam("name"))
_OF_USER = select(*_COLUMNS).where(accounts.c.user_id == bindparam("user_id")).order_by(accounts.c.id)
_ALL = select(*_COLUMNS).order_by(accounts.c.id)
_ALL_IDS = select(accounts.c.id).order_by(accounts.c.id)
_COUNT = select(func.count()).select_from(accounts).where(is_in(accounts.c.id, "account_ids"))
_ADD = (
    insert(accounts)
    .values(
        user_id=bindparam("user_id"),
        name=bindparam("name"),
        connector=bindparam("connector"),
        settings=bindparam("settings"),
        credentials=bindparam("credentials"),
        state=bindparam("state"),
        is_declared=bindparam("is_declared"),
        is_primary=bindparam("is_primary"),
        object_tag=bindparam("object_tag"),
        has_plain_ids=bindparam("has_plain_ids"),
    )
    .returning(accounts.c.id)
)
_CLAIM_FIRST = update(users).where(users.c.id == bindparam("user_id"), users.c.had_account == 0).values(had_account=1)
_SET_STATE = update(accounts).where(_IS_IT).values(state=bindparam("new_state"), last_error=bindparam("new_error"))
_SET_CURSOR = update(accounts).where(_IS_IT).values(cursor=bindparam("new_cursor"))
_SET_CREDENTIALS = update(accounts).where(_IS_IT).values(credentials=bindparam("new_credentials"))
_SET_SETTINGS = (
    update(accounts)
    .where(_IS_IT)
    .values(
        connector=bindparam("new_connector"),
        settings=bindparam("new_settings"),
        is_declared=bindparam("declared"),
        is_primary=bindparam("primary"),
    )
)
_REMOVE = delete(accounts).where(_IS_IT)


def _account(row: Row) -> AccountRow:
    return AccountRow(
        id=row[0],
        user_id=row[1],
        name=row[2],
        connector=row[3],
        settings=json.loads(row[4]),
        credentials=row[5],
        cursor=row[6],
        state=AccountState(row[7]),
        last_error=row[8],
        is_declared=bool(row[9]),
        is_primary=bool(row[10]),
    )


async def add_account(
    tx: Transaction,
    user_id: int,
    name: str,
    connector: str,
    settings: Mapping[str, object],
    *,
    credentials: bytes | None = None,
    is_declared: bool = False,
    is_primary: bool = False,
) -> AccountRow:
    """Add an account; `credentials` are sealed bytes.

    Raises:
        Conflict: the user has an account of that name already, or there is no such user.
    """
    is_first = await tx.execute(_CLAIM_FIRST, user_id=user_id) > 0
    account_id = await tx.scalar(
        _ADD,
        user_id=user_id,
        name=name,
        connector=connector,
        settings=json.dumps(dict(settings), sort_keys=True),
        credentials=credentials,
        state=AccountState.NEW.value,
        is_declared=int(is_declared),
        is_primary=int(is_primary),
        object_tag=new_tag(),
        has_plain_ids=int(is_first),
    )
    return AccountRow(
        id=account_id,
        user_id=user_id,
        name=name,
        connector=connector,
        settings=dict(settings),
        credentials=credentials,
        cursor=None,
        state=AccountState.NEW,
        last_error=None,
        is_declared=is_declared,
        is_primary=is_primary,
    )


async def account_by_id(tx: Transaction, account_id: int) -> AccountRow | None:
    """Return the account of that id."""
    row = await tx.row(_BY_ID, account_id=account_id)
    return None if row is None else _account(row)


async def account_by_name(tx: Transaction, user_id: int, name: str) -> AccountRow | None:
    """Return the user's account of exactly that name."""
    row = await tx.row(_BY_NAME, user_id=user_id, name=name)
    return None if row is None else _account(row)


async def accounts_of(tx: Transaction, user_id: int) -> list[AccountRow]:
    """Return the accounts of a user, oldest first."""
    return [_account(row) for row in await tx.rows(_OF_USER, user_id=user_id)]


async def are_there(tx: Transaction, account_ids: Sequence[int]) -> bool:
    """Tell whether none of the accounts has been removed; each is named once."""
    return int(await tx.scalar(_COUNT, account_ids=account_ids)) == len(account_ids)


async def all_accounts(tx: Transaction) -> list[AccountRow]:
    """Return every account, oldest first."""
    return [_account(row) for row in await tx.rows(_ALL)]


async def all_ids(tx: Transaction) -> list[int]:
    """Return the id of every account, oldest first."""
    return [row[0] for row in await tx.rows(_ALL_IDS)]


async def set_account_state(tx: Transaction, account_id: int, state: AccountState, last_error: str | None) -> None:
    """Record how the account is doing; `last_error` is operator text without secrets, None for no error."""
    await tx.execute(_SET_STATE, account_id=account_id, new_state=AccountState(state).value, new_error=last_error)


async def set_account_cursor(tx: Transaction, account_id: int, cursor: str | None) -> None:
    """Record the backend's position up to which everything is in the store."""
    await tx.execute(_SET_CURSOR, account_id=account_id, new_cursor=cursor)


async def set_credentials(tx: Transaction, account_id: int, credentials: bytes | None) -> None:
    """Replace the sealed credentials."""
    await tx.execute(_SET_CREDENTIALS, account_id=account_id, new_credentials=credentials)


async def set_settings(
    tx: Transaction,
    account_id: int,
    connector: str,
    settings: Mapping[str, object],
    *,
    is_declared: bool,
    is_primary: bool = False,
) -> None:
    """Replace what the connector is and how it is set up."""
    await tx.execute(
        _SET_SETTINGS,
        account_id=account_id,
        new_connector=connector,
        new_settings=json.dumps(dict(settings), sort_keys=True),
        declared=int(is_declared),
        primary=int(is_primary),
    )


async def remove_account(tx: Transaction, account_id: int) -> bool:
    """Remove an account and everything known of its mail. False if there is no such account."""
    return await tx.execute(_REMOVE, account_id=account_id) > 0
