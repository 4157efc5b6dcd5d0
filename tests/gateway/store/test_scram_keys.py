from __future__ import annotations

import pytest

from gateway.store import scram_keys, users
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from gateway.store.scram_keys import ScramRow


async def test_keys_follow_the_password(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        user = await users.add_user(tx, "carla", "h1")
        await scram_keys.save_keys(tx, user.id, "h1", b"s1")
        assert await scram_keys.keys_of(tx, user.id) == [ScramRow(user.id, "h1", b"s1")]
        await scram_keys.save_keys(tx, user.id, "h1", b"s2")
        assert await scram_keys.keys_of(tx, user.id) == [ScramRow(user.id, "h1", b"s2")]
        await users.add_app_password(tx, user.id, "phone", "h2")
        await scram_keys.save_keys(tx, user.id, "h2", b"s3")
        assert [row.password_hash for row in await scram_keys.keys_of(tx, user.id)] == ["h1", "h2"]
        await users.set_password_hash(tx, user.id, "h3")
        assert [row.password_hash for row in await scram_keys.all_keys(tx)] == ["h2"]
        await users.remove_app_password(tx, user.id, "phone")
        assert await scram_keys.all_keys(tx) == []

    await store.write(body)


async def test_keys_go_with_the_user_and_with_the_declaration(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        await users.replace_declared(tx, [("carla", "h1")])
        user = await users.user_by_login(tx, "carla")
        assert user is not None
        await scram_keys.save_keys(tx, user.id, "h1", b"s1")
        await users.replace_declared(tx, [])
        assert await scram_keys.all_keys(tx) == []
        await users.replace_declared(tx, [("carla", "h1")])
        await scram_keys.save_keys(tx, user.id, "h1", b"s1")
        await users.remove_user(tx, user.id)
        assert await scram_keys.all_keys(tx) == []

    await store.write(body)


async def test_keys_of_nobody_are_refused(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda tx: scram_keys.save_keys(tx, 4711, "h1", b"s1"))


async def test_what_was_replaced_meanwhile_is_left_alone(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        user = await users.add_user(tx, "carla", "h1")
        stale = ScramRow(user.id, "h1", b"old")
        await scram_keys.save_keys(tx, user.id, "h1", b"new")
        await scram_keys.replace_sealed(tx, stale, b"newer")
        await scram_keys.remove_keys(tx, stale)
        (row,) = await scram_keys.all_keys(tx)
        assert row.sealed == b"new"
        await scram_keys.remove_keys(tx, row)
        assert await scram_keys.all_keys(tx) == []

    await store.write(body)
