"""Accounts, and what hangs on them: intents and what is set aside."""

from __future__ import annotations

import pytest

from gateway.store import accounts, intents, set_aside
from gateway.store.accounts import AccountState
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from tests.gateway.store.conftest import Place
from tests.manual_clock import ManualClock


async def test_an_account_comes_back_as_it_was_put(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        settings = {"host": "imap.example.org", "port": 993, "tls": True}
        made = await accounts.add_account(tx, place.user_id, "Work", "imap", settings, credentials=b"\0sealed")
        assert await accounts.account_by_id(tx, made.id) == made
        assert await accounts.account_by_name(tx, place.user_id, "Work") == made
        assert await accounts.account_by_name(tx, place.user_id, "work") is None
        assert [item.name for item in await accounts.accounts_of(tx, place.user_id)] == ["Home", "Work"]
        assert (made.settings, made.state, made.cursor) == (settings, AccountState.NEW, None)
        assert "sealed" not in repr(made)
        with pytest.raises(Conflict):
            await accounts.add_account(tx, place.user_id, "Work", "imap", {})
        with pytest.raises(Conflict):
            await accounts.add_account(tx, 999, "Work", "imap", {})

    await store.write(body)


async def test_an_accounts_state_cursor_and_credentials_change(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await accounts.set_account_state(tx, place.account_id, AccountState.NEEDS_LOGIN, "refused")
        await accounts.set_account_cursor(tx, place.account_id, "c1")
        await accounts.set_credentials(tx, place.account_id, b"new")
        await accounts.set_settings(tx, place.account_id, "maildir", {"path": "/x"}, is_declared=True)
        row = await accounts.account_by_id(tx, place.account_id)
        assert row is not None
        assert (row.state, row.last_error, row.cursor, row.credentials) == (
            (AccountState.NEEDS_LOGIN, "refused", "c1", b"new")
        )
        assert (row.connector, row.settings, row.is_declared) == ("maildir", {"path": "/x"}, True)
        assert await accounts.remove_account(tx, place.account_id)
        assert not await accounts.remove_account(tx, place.account_id)

    await store.write(body)


async def test_intents_stay_until_they_are_settled(store: Store, place: Place, clock: ManualClock) -> None:
    async def first(tx: Transaction) -> int:
        return await intents.record(tx, place.account_id, "append", {"mailbox": 7, "flags": ["\\Seen"]}, b"hash")

    async def second(tx: Transaction) -> int:
        return await intents.record(tx, place.account_id, "move", {})

    one = await store.write(first)
    clock.advance(5)
    two = await store.write(second)

    async def body(tx: Transaction) -> None:
        found = await intents.pending(tx, place.account_id)
        assert [(item.id, item.kind, item.content_hash, item.state) for item in found] == [
            (one, "append", b"hash", intents.STARTED),
            (two, "move", None, intents.STARTED),
        ]
        assert found[0].payload == {"mailbox": 7, "flags": ["\\Seen"]}
        assert found[1].created == found[0].created + 5
        await intents.set_state(tx, two, "unknown")
        await intents.settle(tx, one)
        await intents.settle(tx, one)
        assert [(item.id, item.state) for item in await intents.pending(tx, place.account_id)] == [(two, "unknown")]

    await store.write(body)


async def test_what_is_set_aside_counts_its_attempts(store: Store, place: Place, clock: ManualClock) -> None:
    async def add(tx: Transaction) -> None:
        await set_aside.add(tx, place.account_id, place.inbox, "m1", "cannot be read")

    await store.write(add)
    clock.advance(60)
    await store.write(add)

    async def body(tx: Transaction) -> None:
        await set_aside.add(tx, place.account_id, 0, "", "cannot be listed")
        account, message = await set_aside.of_account(tx, place.account_id)
        assert (account.mailbox_id, account.ref, account.attempts) == (0, "", 1)
        assert (message.mailbox_id, message.ref, message.reason, message.attempts, message.last_attempt) == (
            (place.inbox, "m1", "cannot be read", 2, tx.now())
        )
        assert await set_aside.clear(tx, place.account_id, place.inbox, "m1")
        assert not await set_aside.clear(tx, place.account_id, place.inbox, "m1")

    await store.write(body)
