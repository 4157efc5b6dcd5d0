"""SCRAM from the store: who has keys, who is offered it, and what a stranger can learn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api.credentials import Secret
from gateway.auth.errors import AuthFailed, Throttled
from gateway.auth.passwords import generate_app_password, hash_app_password, hash_password
from gateway.auth.scram import ScramExchange, ScramHash, ServerFinal
from gateway.auth.scram_users import ScramUsers, keep_keys
from gateway.auth.throttle import Throttle, ThrottleLimits
from gateway.auth.users import User, UserDirectory
from gateway.auth.vault import Vault
from gateway.store import scram_keys, users
from gateway.store.database import Store, Transaction
from tests.gateway.auth.scram_client import ScramClient
from tests.manual_clock import ManualClock
from tests.scenarios.serving import cheap_hasher

PEER = "192.0.2.1"
VAULT = Vault([Secret(b"k" * 32)])


class Case:
    """A store with the users that a test adds. PLAIN teaches SCRAM, as in a running gateway."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        throttle = Throttle(self.clock, ThrottleLimits(login_free=2, first_wait_s=100.0))
        self.scram = ScramUsers(store, VAULT, throttle=throttle, clock=self.clock)
        self.directory = UserDirectory(
            store, clock=self.clock, throttle=throttle, hasher=cheap_hasher(), learner=self.scram
        )

    async def add(self, login: str, password: str | None, *, has_keys: bool = True) -> int:
        hashed = None if password is None else hash_password(password, cheap_hasher())

        async def body(tx: Transaction) -> int:
            user = await users.add_user(tx, login, hashed)
            if has_keys and hashed is not None and password is not None:
                await keep_keys(tx, VAULT, user.id, hashed, password)
            return user.id

        return await self.store.write(body)

    async def add_app(self, user_id: int, *, has_keys: bool = True) -> str:
        password = generate_app_password()
        hashed = hash_app_password(password)

        async def body(tx: Transaction) -> None:
            await users.add_app_password(tx, user_id, password[:4], hashed)
            if has_keys:
                await keep_keys(tx, VAULT, user_id, hashed, password)

        await self.store.write(body)
        return password

    async def prove(self, login: str, password: str, kind: ScramHash = ScramHash.SHA256) -> User:
        client = ScramClient(login, password, kind.algorithm)
        exchange = ScramExchange(kind, is_plus=False, binding=None)
        claimed = exchange.client_first(client.first())
        assert isinstance(claimed, str)
        claim = await self.scram.claim(claimed, PEER)
        outcome = exchange.client_final(client.final(exchange.server_first(claim.salt)), claim.pairs(kind))
        user = self.scram.settle(claim, PEER, is_proven=outcome is not None)
        assert isinstance(outcome, ServerFinal)
        assert client.trusts(outcome.data)
        return user

    async def log_in(self, login: str, password: str) -> User:
        """By PLAIN; returns once what it teaches is kept."""
        user = await self.directory.authenticate(login, password, PEER)
        await self.directory.close()
        return user

    async def is_offered(self) -> bool:
        self.clock.advance(10)
        await self.scram.refresh()
        return self.scram.is_complete


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    yield Case(store)
    await store.close()


@pytest.mark.parametrize("kind", list(ScramHash))
async def test_the_password_and_each_app_password_prove_who_it_is(case: Case, kind: ScramHash) -> None:
    user_id = await case.add("Anna", "secret")
    apps = [await case.add_app(user_id) for _ in range(3)]
    for password in ("secret", *apps):
        assert await case.prove("anna", password, kind) == User(user_id, "Anna")
    with pytest.raises(AuthFailed):
        await case.prove("anna", "wrong", kind)


async def test_it_is_offered_only_while_every_password_has_keys(case: Case) -> None:
    assert not await case.is_offered()
    anna = await case.add("anna", "secret")
    assert await case.is_offered()
    await case.add("nobody", None)
    assert await case.is_offered()
    await case.add_app(anna, has_keys=False)
    assert not await case.is_offered()
    await case.store.write(lambda tx: _forget_app_passwords(tx, anna))
    assert await case.is_offered()
    bert = await case.add("bert", "other", has_keys=False)
    assert not await case.is_offered()
    await case.store.write(lambda tx: users.remove_user(tx, bert))
    assert await case.is_offered()


async def _forget_app_passwords(tx: Transaction, user_id: int) -> None:
    for row in await users.app_passwords_of(tx, user_id):
        await users.remove_app_password(tx, user_id, row.name)


async def test_the_users_are_not_counted_at_every_greeting(case: Case) -> None:
    await case.add("anna", "secret")
    await case.scram.refresh()
    await case.add("bert", "other", has_keys=False)
    await case.scram.refresh()
    assert case.scram.is_complete
    case.clock.advance(2)
    await case.scram.refresh()
    assert not case.scram.is_complete


async def test_keys_are_made_when_a_password_is_used(case: Case) -> None:
    user_id = await case.add("anna", "secret", has_keys=False)
    app = await case.add_app(user_id, has_keys=False)
    await case.log_in("anna", "secret")
    assert not await case.is_offered()
    # As somebody types it; SCRAM takes it as it was printed.
    await case.log_in("anna", app.replace("-", " ").upper())
    assert await case.is_offered()
    for password in ("secret", app):
        assert (await case.prove("anna", password)).id == user_id


async def test_a_wrong_password_teaches_nothing(case: Case) -> None:
    await case.add("anna", "secret", has_keys=False)
    with pytest.raises(AuthFailed):
        await case.log_in("anna", "wrong")
    await case.directory.close()
    assert await case.store.read(scram_keys.all_keys) == []


async def test_passwords_used_at_once_are_all_proven_after_it(case: Case) -> None:
    user_id = await case.add("anna", "secret", has_keys=False)
    app = await case.add_app(user_id, has_keys=False)
    await asyncio.gather(case.log_in("anna", "secret"), case.log_in("anna", app))
    for password in ("secret", app):
        assert (await case.prove("anna", password)).id == user_id


async def test_a_changed_password_is_proven_no_more(case: Case) -> None:
    user_id = await case.add("anna", "secret")
    changed = hash_password("other", cheap_hasher())
    await case.store.write(lambda tx: users.set_password_hash(tx, user_id, changed))
    assert await case.store.read(scram_keys.all_keys) == []
    assert not await case.is_offered()
    with pytest.raises(AuthFailed):
        await case.prove("anna", "secret")


async def test_a_login_that_does_not_exist_has_always_the_same_salt(case: Case) -> None:
    first, again = [await case.scram.claim(login, PEER) for login in ("ghost", "GHOST")]
    other = await case.scram.claim("phantom", PEER)
    assert first.salt == again.salt != other.salt
    assert first.salt.octets not in (b"", b"\0" * 16)
    known = await case.add("anna", "secret")
    claim = await case.scram.claim("anna", PEER)
    assert claim.user == User(known, "anna")
    assert (len(claim.salt.octets), claim.salt.iterations) == (len(first.salt.octets), first.salt.iterations)
    with pytest.raises(AuthFailed):
        await case.prove("ghost", "secret")


async def test_guesses_are_held_up_together_with_those_by_plain(case: Case) -> None:
    await case.add("anna", "secret")
    for attempt in (case.prove, lambda login, password: case.directory.authenticate(login, password, PEER)):
        with pytest.raises(AuthFailed):
            await attempt("anna", "wrong")
    with pytest.raises(AuthFailed):
        await case.prove("anna", "wrong")
    with pytest.raises(Throttled):
        await case.prove("anna", "secret")
    with pytest.raises(Throttled):
        await case.directory.authenticate("anna", "secret", PEER)


async def test_attempts_begun_at_once_are_held_up_too(case: Case) -> None:
    await case.add("anna", "secret")
    claims = [await case.scram.claim("anna", PEER) for _ in range(5)]
    for claim in claims[:3]:
        with pytest.raises(AuthFailed):
            case.scram.settle(claim, PEER, is_proven=False)
    with pytest.raises(Throttled):
        case.scram.settle(claims[3], PEER, is_proven=True)


async def test_keys_that_cannot_be_opened_are_no_keys(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    user_id = await case.add("anna", "secret")
    (row,) = await case.store.read(lambda tx: scram_keys.keys_of(tx, user_id))
    await case.store.write(lambda tx: scram_keys.replace_sealed(tx, row, b"altered"))
    with pytest.raises(AuthFailed):
        await case.prove("anna", "secret")
    assert "SCRAM keys" in caplog.text
    # The next login by PLAIN makes them anew.
    await case.log_in("anna", "secret")
    assert (await case.prove("anna", "secret")).id == user_id


async def test_keys_of_one_user_open_for_no_other(case: Case) -> None:
    anna, bert = await case.add("anna", "secret"), await case.add("bert", "other")
    (stolen,) = await case.store.read(lambda tx: scram_keys.keys_of(tx, anna))
    (row,) = await case.store.read(lambda tx: scram_keys.keys_of(tx, bert))
    await case.store.write(lambda tx: scram_keys.replace_sealed(tx, row, stolen.sealed))
    with pytest.raises(AuthFailed):
        await case.prove("bert", "secret")
