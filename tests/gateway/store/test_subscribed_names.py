"""Subscribed names that have no mailbox."""

from __future__ import annotations

from gateway.store import accounts, subscribed_names
from gateway.store.database import Body, Store, Transaction
from gateway.store.subscribed_names import Names
from tests.gateway.store.conftest import Place, add_place

NAMES: Names = {("Gone",): "gone", ("Größe", "a/b"): None}


async def test_names_are_those_that_were_set_last(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        assert await subscribed_names.names_of(tx, place.account_id) == {}
        await subscribed_names.set_names(tx, place.account_id, NAMES)
        assert await subscribed_names.names_of(tx, place.account_id) == NAMES
        changed: Names = {("Gone",): None, ("New",): "new"}
        await subscribed_names.set_names(tx, place.account_id, changed)
        assert await subscribed_names.names_of(tx, place.account_id) == changed
        await subscribed_names.set_names(tx, place.account_id, {})
        assert await subscribed_names.names_of(tx, place.account_id) == {}

    await store.write(body)


async def test_names_are_removed_one_by_one(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await subscribed_names.set_names(tx, place.account_id, NAMES)
        assert await subscribed_names.remove_names(tx, place.account_id, [("Gone",), ("Never",)]) == 1
        assert await subscribed_names.remove_names(tx, place.account_id, [("Gone",)]) == 0
        assert await subscribed_names.remove_names(tx, place.account_id, []) == 0
        assert await subscribed_names.names_of(tx, place.account_id) == {("Größe", "a/b"): None}

    await store.write(body)


async def test_names_are_of_one_account_and_go_with_it(store: Store, place: Place) -> None:
    other = await add_place(store, "bert@example.org")

    async def body(tx: Transaction) -> None:
        await subscribed_names.set_names(tx, place.account_id, NAMES)
        await subscribed_names.set_names(tx, other.account_id, {("Gone",): "gone"})
        await subscribed_names.set_names(tx, place.account_id, {})
        assert await subscribed_names.names_of(tx, other.account_id) == {("Gone",): "gone"}
        await accounts.remove_account(tx, other.account_id)
        assert await subscribed_names.names_of(tx, other.account_id) == {}

    await store.write(body)


async def test_the_version_of_the_tree_is_altered_by_names_that_change_and_by_no_others(
    store: Store, place: Place
) -> None:
    async def alters(body: Body[object]) -> bool:
        before = store.tree_version(place.account_id)
        await store.write(body)
        return store.tree_version(place.account_id) != before

    assert await alters(lambda tx: subscribed_names.set_names(tx, place.account_id, NAMES))
    assert not await alters(lambda tx: subscribed_names.set_names(tx, place.account_id, NAMES))
    assert await alters(lambda tx: subscribed_names.remove_names(tx, place.account_id, [("Gone",)]))
    assert not await alters(lambda tx: subscribed_names.remove_names(tx, place.account_id, [("Gone",)]))
    assert await alters(lambda tx: subscribed_names.set_names(tx, place.account_id, {}))
