"""Who is let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from gateway.auth.passwords import hash_app_password, hash_password
from gateway.auth.throttle import Throttle, ThrottleLimits
from gateway.auth.users import AuthFailed, Throttled, UserDirectory
from gateway.store import users
from gateway.store.database import Store, Transaction
from tests.manual_clock import ManualClock

PEER = "192.0.2.7"


class CountingHasher(PasswordHasher):
    """Counts what costs time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
async def store(tmp_path: Path, hasher: CountingHasher) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/mail.db")

    async def body(tx: Transaction) -> None:
        anna = await users.add_user(tx, "Anna@Example.org", hash_password("right", hasher))
        await users.add_app_password(tx, anna.id, "phone", hash_app_password("abcd-efgh-ijkl-mnop-qrst"))
        await users.add_user(tx, "disabled", None)

    await opened.write(body)
    yield opened
    await opened.close()


@pytest.fixture
def directory(store: Store, clock: ManualClock, hasher: CountingHasher) -> UserDirectory:
    throttle = Throttle(clock, ThrottleLimits(login_free=3, address_free=5))
    return UserDirectory(store, clock=clock, throttle=throttle, hasher=hasher)


async def set_password(store: Store, login: str, password_hash: str | None) -> None:
    async def body(tx: Transaction) -> None:
        user = await users.user_by_login(tx, login)
        assert user is not None
        assert await users.set_password_hash(tx, user.id, password_hash)

    await store.write(body)


@pytest.mark.parametrize(
    "login", ["Anna@Example.org", "anna@example.org", " ANNA@EXAMPLE.ORG ", "CORP\\anna@example.org"]
)
async def test_the_right_password_lets_in_whatever_the_case_of_the_login(directory: UserDirectory, login: str) -> None:
    user = await directory.authenticate(login, "right", PEER)
    assert user.login == "Anna@Example.org"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("anna@example.org", "wrong"),
        ("anna@example.org", ""),
        ("anna@example.org", "Right"),
        ("nobody", "right"),
        ("disabled", ""),
        ("", ""),
        ("\udcff", "right"),
        ("a" * 100_000, "right"),
        ("anna@example.org", "\0\udcff"),
    ],
)
async def test_everything_else_is_refused_with_the_same_words(
    directory: UserDirectory, hasher: CountingHasher, login: str, password: str
) -> None:
    with pytest.raises(AuthFailed) as caught:
        await directory.authenticate(login, password, PEER)
    assert caught.value.client_text == caught.value.operator_text == "Login or password is wrong."
    assert hasher.verified == 1


async def test_an_app_password_lets_in_without_the_slow_hash(directory: UserDirectory, hasher: CountingHasher) -> None:
    user = await directory.authenticate("anna@example.org", "abcd efgh ijkl mnop qrst", PEER)
    assert user.login == "Anna@Example.org"
    assert hasher.verified == 0


async def test_a_revoked_app_password_fails_at_once(store: Store, directory: UserDirectory) -> None:
    user = await directory.authenticate("anna@example.org", "abcd-efgh-ijkl-mnop-qrst", PEER)
    assert await store.write(lambda tx: users.remove_app_password(tx, user.id, "phone"))
    with pytest.raises(AuthFailed):
        await directory.authenticate("anna@example.org", "abcd-efgh-ijkl-mnop-qrst", PEER)


async def test_fifty_connections_cost_one_hash(directory: UserDirectory, hasher: CountingHasher) -> None:
    logins = (directory.authenticate("anna@example.org", "right", PEER) for _ in range(50))
    assert len({user.id for user in await asyncio.gather(*logins)}) == 1
    await directory.authenticate("anna@example.org", "right", PEER)
    assert hasher.verified == 1


async def test_a_remembered_result_fades(directory: UserDirectory, hasher: CountingHasher, clock: ManualClock) -> None:
    await directory.authenticate("anna@example.org", "right", PEER)
    clock.advance(3600)
    await directory.authenticate("anna@example.org", "right", PEER)
    assert hasher.verified == 2


async def test_a_changed_password_counts_at_once(
    store: Store, directory: UserDirectory, hasher: CountingHasher
) -> None:
    await directory.authenticate("anna@example.org", "right", PEER)
    with pytest.raises(AuthFailed):
        await directory.authenticate("anna@example.org", "new", PEER)
    await set_password(store, "anna@example.org", hash_password("new", hasher))
    with pytest.raises(AuthFailed):
        await directory.authenticate("anna@example.org", "right", PEER)
    await directory.authenticate("anna@example.org", "new", PEER)


async def test_a_removed_user_is_out_at_once(store: Store, directory: UserDirectory) -> None:
    user = await directory.authenticate("anna@example.org", "right", PEER)
    await store.write(lambda tx: users.remove_user(tx, user.id))
    with pytest.raises(AuthFailed):
        await directory.authenticate("anna@example.org", "right", PEER)


async def test_guessing_is_throttled(directory: UserDirectory, hasher: CountingHasher, clock: ManualClock) -> None:
    for n in range(4):
        with pytest.raises(AuthFailed):
            await directory.authenticate("anna@example.org", f"guess {n}", PEER)
    before = hasher.verified
    with pytest.raises(Throttled) as caught:
        await directory.authenticate("anna@example.org", "right", PEER)
    assert hasher.verified == before
    clock.advance(caught.value.retry_after_s)
    await directory.authenticate("anna@example.org", "right", PEER)


async def test_guesses_sent_all_at_once_are_throttled_too(directory: UserDirectory, hasher: CountingHasher) -> None:
    outcomes = await asyncio.gather(
        *(directory.authenticate("anna@example.org", f"guess {n}", PEER) for n in range(40)), return_exceptions=True
    )
    assert all(isinstance(outcome, (AuthFailed, Throttled)) for outcome in outcomes)
    assert hasher.verified < 10


async def test_unknown_logins_are_throttled_like_known_ones(directory: UserDirectory) -> None:
    for n in range(4):
        with pytest.raises(AuthFailed):
            await directory.authenticate("nobody", f"guess {n}", f"192.0.2.{n}")
    with pytest.raises(Throttled):
        await directory.authenticate("NOBODY", "again", "192.0.2.99")


async def test_a_client_repeating_its_old_password_counts_once(
    directory: UserDirectory, hasher: CountingHasher
) -> None:
    for _ in range(30):
        with pytest.raises(AuthFailed):
            await directory.authenticate("anna@example.org", "old password", PEER)
    assert hasher.verified == 1
    await directory.authenticate("anna@example.org", "right", PEER)


async def test_a_client_that_hangs_up_does_not_end_the_check_for_others(
    directory: UserDirectory, hasher: CountingHasher
) -> None:
    first = asyncio.create_task(directory.authenticate("anna@example.org", "right", PEER))
    second = asyncio.create_task(directory.authenticate("anna@example.org", "right", PEER))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).login == "Anna@Example.org"
    assert hasher.verified == 1
    with pytest.raises(asyncio.CancelledError):
        await first


class HeldLearner:
    """Learns once it is let, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.let = asyncio.Event()
        self.learnt: list[str] = []
        self._error = error

    async def learn(self, user_id: int, password_hash: str, password: str) -> None:
        await self.let.wait()
        if self._error is not None:
            raise self._error
        self.learnt.append(password)


async def test_nobody_waits_for_what_a_login_teaches_but_the_end_does(store: Store, hasher: CountingHasher) -> None:
    learner = HeldLearner()
    directory = UserDirectory(store, hasher=hasher, learner=learner)
    assert (await directory.authenticate("anna@example.org", "right", PEER)).login == "Anna@Example.org"
    assert learner.learnt == []
    learner.let.set()
    await directory.close()
    assert learner.learnt == ["right"]


async def test_a_login_that_teaches_nothing_is_a_login(
    store: Store, hasher: CountingHasher, caplog: pytest.LogCaptureFixture
) -> None:
    learner = HeldLearner(OSError("no room"))
    learner.let.set()
    directory = UserDirectory(store, hasher=hasher, learner=learner)
    await directory.authenticate("anna@example.org", "right", PEER)
    await directory.close()
    assert "is lost" in caplog.text
    assert "no room" in caplog.text
    assert "right" not in caplog.text
