from __future__ import annotations

import pytest

from connectors.api.credentials import Secret
from gateway.accounts.credentials import AccountCredentials, seal_credentials, unseal_credentials
from gateway.app.resealing import reseal, reseal_scram_keys
from gateway.app.storage import opened_store
from gateway.auth.scram_users import keep_keys, open_rows
from gateway.auth.vault import Vault
from gateway.store.accounts import add_account, all_accounts
from gateway.store.database import Transaction
from gateway.store.scram_keys import all_keys, every_password_has_keys
from gateway.store.users import add_user
from tests.gateway.app.conftest import Configurations

OLD, NEW, LOST = (Secret(bytes([number]) * 32) for number in (1, 2, 3))
GIVEN = AccountCredentials("token", {"token": Secret("t1")}).changed({"token": Secret("t2")})


async def test_what_an_older_key_sealed_is_sealed_with_the_newest(
    configurations: Configurations, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(configurations.make()) as store:
        user = await store.write(lambda tx: add_user(tx, "alice"))
        for name, key in (("old", OLD), ("new", NEW), ("lost", LOST)):
            sealed = seal_credentials(Vault([key]), name, GIVEN)
            await store.write(
                lambda tx, name=name, sealed=sealed: add_account(tx, user.id, name, "imap", {}, credentials=sealed)  # type: ignore[misc]
            )
        await store.write(lambda tx: add_account(tx, user.id, "none", "memory", {}))
        before = {row.name: row.credentials for row in await store.read(all_accounts)}
        assert await reseal(store, Vault([NEW, OLD])) == 1
        after = {row.name: row.credentials for row in await store.read(all_accounts)}
        assert {name for name in after if after[name] != before[name]} == {"old"}
        assert after["old"] is not None
        assert unseal_credentials(Vault([NEW]), "old", after["old"]) == GIVEN
        assert "the credentials of account lost cannot be opened" in caplog.text
        assert await reseal(store, Vault([NEW, OLD])) == 0


async def test_scram_keys_are_sealed_anew_and_those_of_a_lost_key_go(
    configurations: Configurations, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(configurations.make()) as store:
        for login, vault in (("alice", Vault([OLD])), ("bob", Vault([NEW])), ("carla", Vault([LOST]))):

            async def add(tx: Transaction, login: str = login, vault: Vault = vault) -> None:
                user = await add_user(tx, login, f"hash of {login}")
                await keep_keys(tx, vault, user.id, f"hash of {login}", "secret")

            await store.write(add)
        assert await reseal_scram_keys(store, Vault([NEW, OLD])) == 2
        rows = await store.read(all_keys)
        assert [row.password_hash for row in rows] == ["hash of alice", "hash of bob"]
        assert len(open_rows(Vault([NEW]), rows)) == 2
        assert "the SCRAM keys of user 3 cannot be opened and are forgotten" in caplog.text
        assert not await store.read(every_password_has_keys)
        assert await reseal_scram_keys(store, Vault([NEW])) == 0
