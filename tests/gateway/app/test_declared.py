from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.api.credentials import Secret
from gateway.accounts.credentials import seal_credentials, unseal_credentials
from gateway.app.declared import apply_declared
from gateway.app.storage import open_vault
from gateway.auth.passwords import verify_password
from gateway.auth.vault import Vault
from gateway.errors import OperatorError
from gateway.store.accounts import AccountRow, AccountState, add_account, all_accounts, set_credentials
from gateway.store.database import Store
from gateway.store.scram_keys import all_keys, every_password_has_keys
from gateway.store.users import UserRow, add_user, list_users
from tests.gateway.app.conftest import CHEAP_HASH, Configurations

ALICE = {"login": "alice", "password_hash": CHEAP_HASH}
WORK = {"name": "work", "user": "alice", "connector": "memory"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    yield store
    await store.close()


@pytest.fixture
def vault(configurations: Configurations) -> Vault:
    return open_vault(configurations.make())


class Case:
    """A store to which configurations are applied."""

    def __init__(self, store: Store, vault: Vault, configurations: Configurations) -> None:
        self.store = store
        self._vault = vault
        self._configurations = configurations

    async def apply(self, **sections: Any) -> None:
        await apply_declared(self.store, self._vault, self._configurations.make(**sections), "gateway.toml")

    async def users(self) -> dict[str, UserRow]:
        return {user.login: user for user in await self.store.read(list_users)}

    async def accounts(self) -> dict[str, AccountRow]:
        return {account.name: account for account in await self.store.read(all_accounts)}


@pytest.fixture
def case(store: Store, vault: Vault, configurations: Configurations) -> Case:
    return Case(store, vault, configurations)


async def test_users_and_accounts_come_into_the_store(case: Case) -> None:
    await case.apply(users=[ALICE], accounts=[WORK | {"settings": {"layout": "labels"}, "primary": True}])
    assert (await case.users())["alice"].is_declared
    work = (await case.accounts())["work"]
    assert (work.connector, work.settings, work.is_declared, work.is_primary) == (
        "memory",
        {"layout": "labels"},
        True,
        True,
    )


async def test_applying_again_keeps_ids_and_hashes(case: Case, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n", encoding="ascii")
    user = {"login": "alice", "password_file": str(tmp_path / "password")}
    await case.apply(users=[user], accounts=[WORK])
    before = await case.users(), await case.accounts()
    await case.apply(users=[user], accounts=[WORK])
    assert (await case.users(), await case.accounts()) == before
    (tmp_path / "password").write_text("another\n", encoding="ascii")
    await case.apply(users=[user], accounts=[WORK])
    changed = (await case.users())["alice"].password_hash
    assert changed is not None
    assert verify_password(changed, "another")


async def test_changed_settings_keep_the_account(case: Case) -> None:
    await case.apply(users=[ALICE], accounts=[WORK])
    before = (await case.accounts())["work"]
    await case.apply(users=[ALICE], accounts=[WORK | {"settings": {"layout": "items"}, "primary": True}])
    after = (await case.accounts())["work"]
    assert after.id == before.id
    assert after.settings == {"layout": "items"}
    assert after.is_primary


async def test_another_connector_is_another_account(case: Case) -> None:
    await case.apply(users=[ALICE], accounts=[WORK])
    before = (await case.accounts())["work"]
    await case.apply(users=[ALICE], accounts=[WORK | {"connector": "maildir", "settings": {"path": "/x"}}])
    after = (await case.accounts())["work"]
    assert after.id != before.id
    assert after.connector == "maildir"


async def test_credentials_are_sealed(case: Case, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_PASSWORD", "s3cret")
    account = WORK | {
        "connector": "imap",
        "settings": {"host": "imap.example.org"},
        "credentials": {"username": "alice@example.org", "password_env": "WORK_PASSWORD"},
    }
    await case.apply(users=[ALICE], accounts=[account])
    sealed = (await case.accounts())["work"].credentials
    assert sealed is not None
    assert b"s3cret" not in sealed
    credentials = unseal_credentials(vault, "work", sealed)
    assert credentials.form == "password"
    assert credentials.values == {"username": Secret("alice@example.org"), "password": Secret("s3cret")}


async def test_what_a_connector_made_of_the_credentials_stays_until_others_are_declared(
    case: Case, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORK_TOKEN", "t1")
    account = WORK | {
        "connector": "jmap",
        "settings": {"domain": "example.org"},
        "credentials": {"token_env": "WORK_TOKEN"},
    }
    await case.apply(users=[ALICE], accounts=[account])
    row = (await case.accounts())["work"]
    assert row.credentials is not None
    refreshed = unseal_credentials(vault, "work", row.credentials).changed({"token": Secret("t2")})
    sealed = seal_credentials(vault, "work", refreshed)
    await case.store.write(lambda tx: set_credentials(tx, row.id, sealed))
    await case.apply(users=[ALICE], accounts=[account])
    assert (await case.accounts())["work"].credentials == sealed
    monkeypatch.setenv("WORK_TOKEN", "t3")
    await case.apply(users=[ALICE], accounts=[account])
    changed = (await case.accounts())["work"].credentials
    assert changed is not None
    assert unseal_credentials(vault, "work", changed).values == {"token": Secret("t3")}


async def test_what_is_no_longer_declared_cannot_be_used_but_keeps_its_place(case: Case) -> None:
    await case.apply(users=[ALICE], accounts=[WORK])
    before = (await case.accounts())["work"]
    await case.apply()
    assert (await case.accounts())["work"].state is AccountState.DISABLED
    alice = (await case.users())["alice"]
    assert alice.password_hash is None
    assert not alice.is_declared
    await case.apply(users=[ALICE], accounts=[WORK])
    assert (await case.users())["alice"].id == alice.id
    assert (await case.accounts())["work"] == before


async def test_what_the_command_line_made_is_not_touched(case: Case) -> None:
    bob = await case.store.write(lambda tx: add_user(tx, "bob", CHEAP_HASH))
    home = await case.store.write(lambda tx: add_account(tx, bob.id, "home", "memory", {}))
    await case.apply(users=[ALICE], accounts=[WORK])
    await case.apply()
    assert (await case.users())["bob"] == bob
    assert (await case.accounts())["home"] == home


async def test_a_name_taken_on_the_command_line_is_an_error(case: Case) -> None:
    await case.store.write(lambda tx: add_user(tx, "Alice", CHEAP_HASH))
    with pytest.raises(OperatorError, match=r"gateway.toml: users\[alice\]: there is a user of that login"):
        await case.apply(users=[ALICE])
    assert not (await case.users())["Alice"].is_declared


async def test_an_account_added_to_a_declared_user_stays_and_its_name_is_taken(case: Case) -> None:
    await case.apply(users=[ALICE])
    alice = (await case.users())["alice"]
    await case.store.write(lambda tx: add_account(tx, alice.id, "work", "memory", {}))
    with pytest.raises(OperatorError, match=r"gateway.toml: accounts\[work\]: user alice has an account of that name"):
        await case.apply(users=[ALICE], accounts=[WORK])
    await case.apply(users=[ALICE])
    assert set(await case.accounts()) == {"work"}


async def test_a_declared_password_can_be_proven_by_scram_and_a_declared_hash_cannot(
    case: Case, vault: Vault, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n", encoding="ascii")
    bob = {"login": "bob", "password_file": str(tmp_path / "password")}
    await case.apply(users=[bob])
    assert await case.store.read(every_password_has_keys)
    (row,) = await case.store.read(all_keys)
    assert row.password_hash == (await case.users())["bob"].password_hash
    # The same password keeps its keys.
    await case.apply(users=[bob])
    assert await case.store.read(all_keys) == [row]
    await case.apply(users=[ALICE, bob])
    assert not await case.store.read(every_password_has_keys)
