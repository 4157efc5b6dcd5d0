"""A store in a fresh file, and the rows that most tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.store import accounts, invariants, mailboxes, users
from gateway.store.database import Store, Transaction
from tests.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """A store that is checked for broken invariants when the test is over."""
    opened = await Store.open(f"sqlite:///{tmp_path}/mail.db", clock=clock)
    yield opened
    assert await opened.read(invariants.check) == []
    await opened.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A user's account with two mailboxes."""

    user_id: int
    account_id: int
    inbox: int
    other: int


async def add_place(store: Store, login: str = "anna@example.org") -> Place:
    async def body(tx: Transaction) -> Place:
        user = await users.add_user(tx, login)
        account = await accounts.add_account(tx, user.id, "Home", "memory", {})
        inbox = await mailboxes.insert_mailbox(tx, account.id, "in", ("INBOX",))
        other = await mailboxes.insert_mailbox(tx, account.id, "other", ("Other",))
        return Place(user.id, account.id, inbox.id, other.id)

    return await store.write(body)


@pytest.fixture
async def place(store: Store) -> Place:
    return await add_place(store)
