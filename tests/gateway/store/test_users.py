"""Users and their app passwords."""

from __future__ import annotations

import pytest

from gateway.store import accounts, mailboxes, users
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from tests.gateway.store.conftest import Place


async def test_a_login_is_found_whatever_its_case(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        added = await users.add_user(tx, " Jürgen@Straße.example ", "hash")
        assert added.login == "Jürgen@Straße.example"
        for login in ("jürgen@straße.example", "JÜRGEN@STRASSE.EXAMPLE", "Ju\u0308rgen@straße.example"):
            assert await users.user_by_login(tx, login) == added
        assert await users.user_by_id(tx, added.id) == added
        assert await users.user_by_login(tx, "somebody") is None
        with pytest.raises(Conflict):
            await users.add_user(tx, "JÜRGEN@straße.example")

    await store.write(body)


async def test_a_password_is_set_and_taken_away(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        user = await users.add_user(tx, "anna")
        assert user.password_hash is None
        assert await users.set_password_hash(tx, user.id, "h1")
        found = await users.user_by_login(tx, "anna")
        assert found is not None
        assert found.password_hash == "h1"
        assert not await users.set_password_hash(tx, 999, "h1")

    await store.write(body)


async def test_removing_a_user_removes_everything_of_theirs(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_app_password(tx, place.user_id, "phone", "h")
        assert await users.remove_user(tx, place.user_id)
        assert await accounts.all_accounts(tx) == []
        assert await mailboxes.mailbox_by_id(tx, place.inbox) is None
        assert await users.app_passwords_of(tx, place.user_id) == []
        assert not await users.remove_user(tx, place.user_id)

    await store.write(body)


async def test_app_passwords_have_names_and_can_be_revoked(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_app_password(tx, place.user_id, "phone", "h1")
        await users.add_app_password(tx, place.user_id, "desk", "h2")
        found = await users.app_passwords_of(tx, place.user_id)
        assert [(item.name, item.hash, item.created) for item in found] == [
            ("desk", "h2", tx.now()),
            ("phone", "h1", tx.now()),
        ]
        with pytest.raises(Conflict):
            await users.add_app_password(tx, place.user_id, "phone", "h3")
        assert await users.remove_app_password(tx, place.user_id, "phone")
        assert not await users.remove_app_password(tx, place.user_id, "phone")
        with pytest.raises(Conflict):
            await users.add_app_password(tx, 999, "phone", "h3")

    await store.write(body)


async def test_declared_users_follow_the_configuration_and_keep_their_mail(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_user(tx, "manual", "h")
        assert await users.replace_declared(tx, [("ANNA@example.org", "h1"), ("bert", None)]) == []
        anna = await users.user_by_login(tx, "anna@example.org")
        assert anna == users.UserRow(place.user_id, "ANNA@example.org", "h1", True)
        dropped = await users.replace_declared(tx, [("bert", "h2")])
        assert [user.login for user in dropped] == ["ANNA@example.org"]
        anna = await users.user_by_login(tx, "anna@example.org")
        assert anna == users.UserRow(place.user_id, "ANNA@example.org", None, False)
        assert await mailboxes.mailbox_by_id(tx, place.inbox) is not None
        manual = await users.user_by_login(tx, "manual")
        assert manual is not None
        assert manual.password_hash == "h"
        assert [user.login for user in await users.list_users(tx)] == ["ANNA@example.org", "bert", "manual"]

    await store.write(body)
