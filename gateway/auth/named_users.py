"""Users whose name somebody else vouches for: a certificate authority, or an identity provider."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.auth.users import User
from gateway.store.database import Store, Transaction
from gateway.store.users import user_by_login


class NamedUsers:
    """Finds users by what they are called elsewhere."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, names: Iterable[str], acting: str = "") -> User | None:
        """Return the user whose login is the first of `names` that is one, whatever the case of its letters.

        `acting`, if not empty, is the login that the client asks for: of the names only that is looked at. A user
        without a password is one who is no longer declared, and not let in.
        """
        candidates = [name for name in names if name]

        async def body(tx: Transaction) -> User | None:
            wanted = await user_by_login(tx, acting) if acting else None
            for name in candidates:
                row = await user_by_login(tx, name)
                if row is None or row.password_hash is None or (acting and row != wanted):
                    continue
                return User(row.id, row.login)
            return None

        return await self._store.read(body)
