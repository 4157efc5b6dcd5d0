"""Who somebody is, by login and password.

    attempt -> throttle -> stored hashes -> seen before? -> app passwords -> argon2id, in a thread

What argon2id said is remembered for some minutes, so that fifty connections of one client cost one hash. It is
remembered under a keyed digest of login, password and everything the store holds for that login: a password that was
changed or revoked is forgotten in the same moment, and the memory of the process shows no password. A wrong password
that is repeated by a client nobody has told of the change is remembered too, and counts as a failure once.

A login that does not exist costs the same work as one that does.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from dataclasses import dataclass
from typing import Protocol

from argon2 import PasswordHasher
from cachetools import TTLCache

from gateway.auth.errors import AuthFailed, Throttled
from gateway.auth.passwords import decoy_hash, default_hasher, verify_app_password, verify_password
from gateway.auth.throttle import Throttle
from gateway.clock import Clock, SystemClock
from gateway.store import users
from gateway.store.database import Store, Transaction
from gateway.store.users import UserRow, fold_login

__all__ = ["AuthFailed", "Learner", "Throttled", "User", "UserDirectory", "find_user"]

log = logging.getLogger(__name__)

_REMEMBER_S = 300.0
_REMEMBERED = 4096
_LOGIN_LIMIT = 256
_HASHING_AT_ONCE = 2
"""Each hash takes 64 MiB; more than the cores can work on would only wait, in memory."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has logged in. `login` is spelled as in the store, whatever the client wrote."""

    id: int
    login: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store holds for a login; without a user nothing fits."""

    user: User | None
    password_hash: str | None
    app_hashes: tuple[str, ...]


_NOBODY = _Stored(None, None, ())


class Learner(Protocol):
    """Is told of each password that was found right, while its text is known; not of the same one for each client."""

    async def learn(self, user_id: int, password_hash: str, password: str) -> None:
        """Take note of the password that is stored as `password_hash`."""


async def find_user(tx: Transaction, login: str) -> tuple[str, UserRow | None]:
    """Return the login by which failures are counted, and the user of that login.

    Logins are compared without case. `DOMAIN\\user` is tried as it is, then as `user`: mail programs of a Windows
    domain put the domain in front unasked.
    """
    # What cannot be a login is nobody's, and is cut so that the tables of failures stay small.
    login = login.encode("utf-8", "replace").decode("utf-8")
    if len(login) > _LOGIN_LIMIT:
        return fold_login(login[:_LOGIN_LIMIT]), None
    candidates = [login]
    if "\\" in login:
        candidates.append(login.rpartition("\\")[2])
    for candidate in candidates:
        row = await users.user_by_login(tx, candidate)
        if row is not None:
            return fold_login(candidate), row
    return fold_login(candidates[-1]), None


class UserDirectory:
    """Checks logins against the users in the store."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        throttle: Throttle | None = None,
        hasher: PasswordHasher | None = None,
        learner: Learner | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._store = store
        self._throttle = throttle or Throttle(clock)
        self._hasher = hasher or default_hasher()
        self._learner = learner
        self._digest_key = os.urandom(32)
        self._verdicts: TTLCache[bytes, bool] = TTLCache(_REMEMBERED, _REMEMBER_S, timer=clock.monotonic)
        self._flights: dict[bytes, asyncio.Task[bool]] = {}
        self._slots = asyncio.Semaphore(_HASHING_AT_ONCE)
        self._decoy = decoy_hash(self._hasher)
        self._lessons: set[asyncio.Task[None]] = set()
        self._learning = asyncio.Lock()

    async def authenticate(self, login: str, password: str, peer: str) -> User:
        """Return the user with that login and password; `peer` is the address the client comes from.

        The login is taken as `find_user` takes it.

        Raises:
            AuthFailed: login or password is wrong.
            Throttled: too many failures, from this address or for this login.
        """
        key, stored = await self._look_up(login)
        self._check_throttle(peer, key)
        digest = self._digest(key, password, stored)
        verdict = self._verdicts.get(digest)
        is_new = verdict is None
        if verdict is None:
            flight = self._flights.get(digest)
            is_new = flight is None
            if flight is None:
                flight = asyncio.get_running_loop().create_task(self._verify(digest, password, stored, peer, key))
                self._flights[digest] = flight
                flight.add_done_callback(lambda task: self._landed(digest, task))
            # Shielded: one client that hangs up does not end the check for the others.
            verdict = await asyncio.shield(flight)
        if stored.user is None or not verdict:
            if is_new:
                self._throttle.failed(peer, key)
            raise AuthFailed
        self._throttle.succeeded(peer, key)
        if is_new and self._learner is not None:
            # Behind the answer: what is learnt is written, and a write may stand behind thousands of new messages.
            lesson = asyncio.get_running_loop().create_task(self._tell(self._learner, stored.user, stored, password))
            self._lessons.add(lesson)
            lesson.add_done_callback(self._lessons.discard)
        return stored.user

    async def close(self) -> None:
        """Wait until what was learnt from logins is kept."""
        await asyncio.gather(*self._lessons)

    async def _tell(self, learner: Learner, user: User, stored: _Stored, password: str) -> None:
        fitting = next((item for item in stored.app_hashes if verify_app_password(item, password)), None)
        fitting = fitting or stored.password_hash
        assert fitting is not None, "it has been found right"
        # One after the other: what is made of two passwords of a user has to match.
        async with self._learning:
            try:
                await learner.learn(user.id, fitting, password)
            except Exception:
                log.exception("what a login of user %d teaches is lost", user.id)

    def _landed(self, digest: bytes, flight: asyncio.Task[bool]) -> None:
        self._flights.pop(digest, None)
        if not flight.cancelled():
            # Those who wait for it are told; if all of them have hung up, nobody needs to be.
            flight.exception()

    def _check_throttle(self, peer: str, key: str) -> None:
        wait_s = self._throttle.wait_s(peer, key)
        if wait_s > 0:
            raise Throttled(wait_s)

    async def _look_up(self, login: str) -> tuple[str, _Stored]:
        """Return the login by which failures are counted, and what the store holds for it."""

        async def body(tx: Transaction) -> tuple[str, _Stored]:
            key, row = await find_user(tx, login)
            if row is None:
                return key, _NOBODY
            app_hashes = tuple(item.hash for item in await users.app_passwords_of(tx, row.id))
            return key, _Stored(User(row.id, row.login), row.password_hash, app_hashes)

        return await self._store.read(body)

    def _digest(self, key: str, password: str, stored: _Stored) -> bytes:
        digest = hmac.new(self._digest_key, digestmod="sha256")
        user_id = 0 if stored.user is None else stored.user.id
        for part in (key, password, str(user_id), stored.password_hash or "", *stored.app_hashes):
            octets = part.encode("utf-8", "surrogatepass")
            digest.update(len(octets).to_bytes(8, "big") + octets)
        return digest.digest()

    async def _verify(self, digest: bytes, password: str, stored: _Stored, peer: str, key: str) -> bool:
        if any(verify_app_password(item, password) for item in stored.app_hashes):
            verdict = True
        else:
            async with self._slots:
                # Attempts sent all at once have passed the first check before any of them failed.
                self._check_throttle(peer, key)
                verdict = await asyncio.to_thread(self._check_hash, stored.password_hash, password)
        self._verdicts[digest] = verdict
        return verdict

    def _check_hash(self, password_hash: str | None, password: str) -> bool:
        if password_hash is None:
            verify_password(self._decoy, password, self._hasher)
            return False
        return verify_password(password_hash, password, self._hasher)
