"""Who may log in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from gateway.store.scram_keys import drop_stale_keys
from gateway.store.statements import Row
from gateway.store.tables import app_passwords, users
from gateway.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class UserRow:
    """A local login. `password_hash` of None: no login by the main password. `is_declared`: in the configuration."""

    id: int
    login: str
    password_hash: str | None
    is_declared: bool


@dataclass(frozen=True, slots=True)
class AppPasswordRow:
    """A password of a user for one device or program, known by its name; `created` in unix seconds."""

    user_id: int
    name: str
    hash: str
    created: int


def fold_login(login: str) -> str:
    """Return the form in which logins are compared: composed, without case, without space around it."""
    return unicodedata.normalize("NFC", login.strip().casefold())


_COLUMNS = (users.c.id, users.c.login, users.c.password_hash, users.c.is_declared)
_BY_ID = select(*_COLUMNS).where(users.c.id == bindparam("user_id"))
_BY_LOGIN = select(*_COLUMNS).where(users.c.login_key == bindparam("login_key"))
_LIST = select(*_COLUMNS).order_by(users.c.login_key)
_ADD = insert(users).values(
    login=bindparam("login"),
    login_key=bindparam("login_key"),
    password_hash=bindparam("password_hash"),
    is_declared=bindparam("is_declared"),
)
_ADD_RETURNING = _ADD.returning(users.c.id)
_SET_HASH = update(users).where(users.c.id == bindparam("user_id")).values(password_hash=bindparam("new_hash"))
_SET_DECLARED = (
    update(users)
    .where(users.c.id == bindparam("user_id"))
    .values(login=bindparam("new_login"), password_hash=bindparam("new_hash"), is_declared=bindparam("declared"))
)
_REMOVE = delete(users).where(users.c.id == bindparam("user_id"))
_APP_ADD = insert(app_passwords).values(
    user_id=bindparam("user_id"), name=bindparam("name"), hash=bindparam("hash"), created=bindparam("created")
)
_APP_LIST = (
    select(app_passwords.c.user_id, app_passwords.c.name, app_passwords.c.hash, app_passwords.c.created)
    .where(app_passwords.c.user_id == bindparam("user_id"))
    .order_by(app_passwords.c.name)
)
_APP_REMOVE = delete(app_passwords).where(
    app_passwords.c.user_id == bindparam("user_id"), app_passwords.c.name == bindparam("name")
)


def _user(row: Row) -> UserRow:
    return UserRow(row[0], row[1], row[2], bool(row[3]))


async def add_user(
    tx: Transaction, login: str, password_hash: str | None = None, *, is_declared: bool = False
) -> UserRow:
    """Add a user.

    Raises:
        Conflict: a user of that login exists, whatever the case of its letters.
    """
    user_id = await tx.scalar(
        _ADD_RETURNING,
        login=login.strip(),
        login_key=fold_login(login),
        password_hash=password_hash,
        is_declared=int(is_declared),
    )
    return UserRow(user_id, login.strip(), password_hash, is_declared)


async def user_by_login(tx: Transaction, login: str) -> UserRow | None:
    """Return the user of that login, whatever the case of its letters."""
    row = await tx.row(_BY_LOGIN, login_key=fold_login(login))
    return None if row is None else _user(row)


async def user_by_id(tx: Transaction, user_id: int) -> UserRow | None:
    """Return the user of that id."""
    row = await tx.row(_BY_ID, user_id=user_id)
    return None if row is None else _user(row)


async def list_users(tx: Transaction) -> list[UserRow]:
    """Return all users, by login."""
    return [_user(row) for row in await tx.rows(_LIST)]


async def set_password_hash(tx: Transaction, user_id: int, password_hash: str | None) -> bool:
    """Set or, with None, take away the main password. False if there is no such user."""
    found = await tx.execute(_SET_HASH, user_id=user_id, new_hash=password_hash) > 0
    await drop_stale_keys(tx)
    return found


async def remove_user(tx: Transaction, user_id: int) -> bool:
    """Remove a user with all accounts and everything known of their mail. False if there is no such user."""
    return await tx.execute(_REMOVE, user_id=user_id) > 0


async def replace_declared(tx: Transaction, declared: Iterable[tuple[str, str | None]]) -> list[UserRow]:
    """Make the users of the configuration, given as (login, password hash), those that are declared.

    A user that is no longer declared loses the password but keeps everything else: a slip in the configuration must
    not cost a UID map. Returns those users.
    """
    known = {fold_login(user.login): user for user in await list_users(tx)}
    names = set()
    for login, password_hash in declared:
        key = fold_login(login)
        names.add(key)
        user = known.get(key)
        if user is None:
            await add_user(tx, login, password_hash, is_declared=True)
        elif user != UserRow(user.id, login.strip(), password_hash, True):
            await tx.execute(
                _SET_DECLARED, user_id=user.id, new_login=login.strip(), new_hash=password_hash, declared=1
            )
    dropped = [user for key, user in known.items() if user.is_declared and key not in names]
    for user in dropped:
        await tx.execute(_SET_DECLARED, user_id=user.id, new_login=user.login, new_hash=None, declared=0)
    await drop_stale_keys(tx)
    return dropped


async def add_app_password(tx: Transaction, user_id: int, name: str, password_hash: str) -> None:
    """Add a named password.

    Raises:
        Conflict: the user has one of that name already, or there is no such user.
    """
    await tx.execute(_APP_ADD, user_id=user_id, name=name, hash=password_hash, created=tx.now())


async def app_passwords_of(tx: Transaction, user_id: int) -> list[AppPasswordRow]:
    """Return the named passwords of a user, by name."""
    return [AppPasswordRow(*row) for row in await tx.rows(_APP_LIST, user_id=user_id)]


async def remove_app_password(tx: Transaction, user_id: int, name: str) -> bool:
    """Revoke a named password. False if there is none of that name."""
    found = await tx.execute(_APP_REMOVE, user_id=user_id, name=name) > 0
    await drop_stale_keys(tx)
    return found
