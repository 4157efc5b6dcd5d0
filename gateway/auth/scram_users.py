"""Who somebody is, by SCRAM: the users' keys in the store, sealed, and the making of them.

Keys can be made only while the text of a password is known: when it is set, and when somebody logs in with it by PLAIN.
A client that finds SCRAM offered does not try PLAIN, so SCRAM is offered only if nobody's password is without keys.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.auth.errors import AuthFailed, Throttled, VaultError
from gateway.auth.passwords import is_app_hash, printed_app_password
from gateway.auth.scram import (
    ITERATIONS,
    SALT_OCTETS,
    KeyPair,
    Salt,
    ScramHash,
    ScramKeys,
    derive_keys,
    new_salt,
)
from gateway.auth.throttle import Throttle
from gateway.auth.users import User, find_user
from gateway.auth.vault import Vault
from gateway.clock import Clock, SystemClock
from gateway.store import scram_keys
from gateway.store.database import Store, Transaction
from gateway.store.errors import StoreError
from gateway.store.scram_keys import ScramRow
from gateway.store.users import app_passwords_of, user_by_id

log = logging.getLogger(__name__)

_SALT_PURPOSE = b"salts of logins that do not exist"
_COUNTED_S = 2.0
"""How long it is believed that all passwords have keys, or that one has none."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of a login before its proof. A login that does not exist has a salt too, and no keys.

    `key` is the login by which failures are counted.
    """

    user: User | None
    key: str
    salt: Salt
    keys: tuple[ScramKeys, ...]

    def pairs(self, kind: ScramHash) -> list[KeyPair]:
        return [keys.pair(kind) for keys in self.keys]


class ScramUsers:
    """Answers SCRAM exchanges from the store. Failures are counted by `throttle`, which PLAIN should share."""

    def __init__(
        self, store: Store, vault: Vault, *, throttle: Throttle | None = None, clock: Clock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._store = store
        self._vault = vault
        self._throttle = throttle or Throttle(self._clock)
        self._salt_key = vault.derive(_SALT_PURPOSE)
        self._counted_at_s: float | None = None
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """Whether every password had keys when that was looked at last."""
        return self._is_complete

    async def refresh(self) -> None:
        """See whether every password has keys, if that was not done just now. The command line changes it too."""
        now = self._clock.monotonic()
        if self._counted_at_s is None or now - self._counted_at_s >= _COUNTED_S:
            self._counted_at_s = now
            try:
                self._is_complete = await self._store.read(scram_keys.every_password_has_keys)
            except StoreError as exc:
                log.error("cannot tell whether SCRAM can be offered: %s", exc)
                self._is_complete = False

    async def claim(self, login: str, peer: str) -> Claim:
        """Return what is known of a login; `peer` is the address the client comes from.

        Raises:
            Throttled: too many failures, from this address or for this login.
        """

        async def body(tx: Transaction) -> tuple[str, User | None, list[ScramRow]]:
            key, row = await find_user(tx, login)
            if row is None:
                return key, None, []
            return key, User(row.id, row.login), await scram_keys.keys_of(tx, row.id)

        key, user, rows = await self._store.read(body)
        self._check_throttle(peer, key)
        keys = tuple(open_rows(self._vault, rows).values())
        salt = keys[0].salt if keys else self._made_up_salt(key)
        return Claim(user, key, salt, tuple(found for found in keys if found.salt == salt))

    def settle(self, claim: Claim, peer: str, *, is_proven: bool) -> User:
        """Return the user whose password was proven; count a failure.

        Raises:
            AuthFailed: it was not.
            Throttled: too many have failed since the claim.
        """
        # Attempts begun all at once have passed the first check before any of them failed.
        self._check_throttle(peer, claim.key)
        if claim.user is None or not is_proven:
            self._throttle.failed(peer, claim.key)
            raise AuthFailed
        self._throttle.succeeded(peer, claim.key)
        return claim.user

    async def learn(self, user_id: int, password_hash: str, password: str) -> None:
        """Make the keys of a password that was found right, unless there are some."""
        known = open_rows(self._vault, await self._store.read(lambda tx: scram_keys.keys_of(tx, user_id)))
        if any(row.password_hash == password_hash for row in known):
            return
        salt = _common_salt(known)
        sealed = await asyncio.to_thread(_sealed, self._vault, user_id, password_hash, password, salt)

        async def body(tx: Transaction) -> None:
            # The password may have been changed meanwhile, and the user be gone.
            if password_hash in await _hashes(tx, user_id):
                await scram_keys.save_keys(tx, user_id, password_hash, sealed)

        try:
            await self._store.write(body)
        except StoreError as exc:
            # The login is right all the same.
            log.warning("the SCRAM keys of user %d cannot be kept: %s", user_id, exc)
        self._counted_at_s = None

    def _check_throttle(self, peer: str, key: str) -> None:
        wait_s = self._throttle.wait_s(peer, key)
        if wait_s > 0:
            raise Throttled(wait_s)

    def _made_up_salt(self, key: str) -> Salt:
        """Return a salt that is always the same for a login, as that of a user is."""
        return Salt(hmac.digest(self._salt_key, key.encode("utf-8"), "sha256")[:SALT_OCTETS], ITERATIONS)


async def keep_keys(tx: Transaction, vault: Vault, user_id: int, password_hash: str, password: str) -> None:
    """Make the keys of a password that was just set, stored as `password_hash`. Takes some milliseconds.

    Raises:
        Conflict: there is no such user.
    """
    known = open_rows(vault, await scram_keys.keys_of(tx, user_id))
    if not any(row.password_hash == password_hash for row in known):
        sealed = _sealed(vault, user_id, password_hash, password, _common_salt(known))
        await scram_keys.save_keys(tx, user_id, password_hash, sealed)


def reseal_row(vault: Vault, row: ScramRow) -> bytes:
    """Return the keys of the row sealed with the first key of the vault.

    Raises:
        VaultError: they cannot be opened.
    """
    context = _context(row.user_id, row.password_hash)
    return vault.seal(vault.open(row.sealed, context), context)


def open_rows(vault: Vault, rows: list[ScramRow]) -> dict[ScramRow, ScramKeys]:
    """Return the rows that can be opened with what is in them; the others are told to the log."""
    opened = {}
    for row in rows:
        try:
            opened[row] = ScramKeys.from_octets(vault.open(row.sealed, _context(row.user_id, row.password_hash)))
        except (VaultError, ValueError) as exc:
            log.error("SCRAM keys of user %d cannot be opened: %s", row.user_id, exc)
    return opened


def _common_salt(known: Mapping[ScramRow, ScramKeys]) -> Salt:
    """Return the salt of a user's keys; a new one for the first."""
    return next((keys.salt for keys in known.values()), None) or new_salt()


def _sealed(vault: Vault, user_id: int, password_hash: str, password: str, salt: Salt) -> bytes:
    text = printed_app_password(password) if is_app_hash(password_hash) else password
    return vault.seal(derive_keys(text, salt).to_octets(), _context(user_id, password_hash))


def _context(user_id: int, password_hash: str) -> bytes:
    return b"scram keys\0%d\0" % user_id + password_hash.encode("utf-8")


async def _hashes(tx: Transaction, user_id: int) -> set[str | None]:
    user = await user_by_id(tx, user_id)
    if user is None:
        return set()
    return {user.password_hash, *(item.hash for item in await app_passwords_of(tx, user_id))}
