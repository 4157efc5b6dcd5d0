"""What SCRAM needs of passwords, sealed. Keys count as long as the password they were made of is the user's."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, exists, or_, select, update

from gateway.store.statements import upsert
from gateway.store.tables import app_passwords, scram_keys, users
from gateway.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ScramRow:
    """The keys of one password of a user, known by the hash that it is stored with."""

    user_id: int
    password_hash: str
    sealed: bytes


_COLUMNS = (scram_keys.c.user_id, scram_keys.c.password_hash, scram_keys.c.sealed)
_IS_CURRENT = or_(
    exists().where(users.c.id == scram_keys.c.user_id, users.c.password_hash == scram_keys.c.password_hash),
    exists().where(app_passwords.c.user_id == scram_keys.c.user_id, app_passwords.c.hash == scram_keys.c.password_hash),
)
_SAVE = upsert(scram_keys, ["user_id", "password_hash"], "sealed")
_OF_USER = (
    select(*_COLUMNS)
    .where(scram_keys.c.user_id == bindparam("owner_id"), _IS_CURRENT)
    .order_by(scram_keys.c.password_hash)
)
_ALL = select(*_COLUMNS)
_RESEAL = (
    update(scram_keys)
    .where(
        scram_keys.c.user_id == bindparam("owner_id"),
        scram_keys.c.password_hash == bindparam("hash"),
        scram_keys.c.sealed == bindparam("old"),
    )
    .values(sealed=bindparam("new"))
)
_REMOVE = delete(scram_keys).where(
    scram_keys.c.user_id == bindparam("owner_id"),
    scram_keys.c.password_hash == bindparam("hash"),
    scram_keys.c.sealed == bindparam("old"),
)
_DROP_STALE = delete(scram_keys).where(~_IS_CURRENT)
_LACKING_MAIN = (
    select(users.c.id)
    .limit(1)
    .where(
        users.c.password_hash.is_not(None),
        ~exists().where(scram_keys.c.user_id == users.c.id, scram_keys.c.password_hash == users.c.password_hash),
    )
)
_LACKING_APP = (
    select(app_passwords.c.user_id)
    .limit(1)
    .where(
        ~exists().where(
            scram_keys.c.user_id == app_passwords.c.user_id, scram_keys.c.password_hash == app_passwords.c.hash
        )
    )
)
_ANY = select(scram_keys.c.user_id).where(_IS_CURRENT).limit(1)


async def save_keys(tx: Transaction, user_id: int, password_hash: str, sealed: bytes) -> None:
    """Keep the keys of a password; those of passwords that are nobody's any more go.

    Raises:
        Conflict: there is no such user.
    """
    await tx.execute(_SAVE, user_id=user_id, password_hash=password_hash, sealed=sealed)
    await tx.execute(_DROP_STALE)


async def keys_of(tx: Transaction, user_id: int) -> list[ScramRow]:
    """Return the keys of the passwords that a user has now."""
    return [ScramRow(*row) for row in await tx.rows(_OF_USER, owner_id=user_id)]


async def all_keys(tx: Transaction) -> list[ScramRow]:
    """Return all that is kept."""
    return [ScramRow(*row) for row in await tx.rows(_ALL)]


async def replace_sealed(tx: Transaction, row: ScramRow, sealed: bytes) -> None:
    """Keep the same keys under another seal, unless they were replaced since `row` was read."""
    await tx.execute(_RESEAL, owner_id=row.user_id, hash=row.password_hash, old=row.sealed, new=sealed)


async def remove_keys(tx: Transaction, row: ScramRow) -> None:
    """Forget keys, unless they were replaced since `row` was read."""
    await tx.execute(_REMOVE, owner_id=row.user_id, hash=row.password_hash, old=row.sealed)


async def drop_stale_keys(tx: Transaction) -> None:
    """Forget the keys of passwords that are nobody's any more."""
    await tx.execute(_DROP_STALE)


async def every_password_has_keys(tx: Transaction) -> bool:
    """Tell whether whoever can log in by a password could do so by SCRAM; False if nobody can log in by one."""
    for statement in (_LACKING_MAIN, _LACKING_APP):
        if await tx.row(statement) is not None:
            return False
    return await tx.row(_ANY) is not None
