"""The check finds what it says it finds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store import invariants, messages, placements
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from tests.gateway.store.conftest import Place, add_place


@pytest.fixture
async def damaged(tmp_path: Path) -> AsyncIterator[Store]:
    """A store that is not checked at the end."""
    opened = await Store.open(f"sqlite:///{tmp_path}/mail.db")
    yield opened
    await opened.close()


async def fill(store: Store) -> Place:
    place = await add_place(store)

    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues(ref, size=7) for ref in "ab"])
        await placements.insert_placements(tx, place.inbox, [(i, 0, "", None, None) for i in ids.values()])

    await store.write(body)
    return place


async def test_a_sound_store_has_no_complaints(damaged: Store) -> None:
    await fill(damaged)
    assert await damaged.read(invariants.check) == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE mailboxes SET messages = messages + 1", "counters say (3, 2, 0, 14), a recount (2, 2, 0, 14)"),
        ("UPDATE mailboxes SET octets = 0", "a recount (2, 2, 0, 14)"),
        ("UPDATE mailboxes SET uidnext = 2", "UIDs 1..2 are not below UIDNEXT 2"),
        ("UPDATE mailboxes SET uidnext = 4294967296", "UIDNEXT 4294967296 is out of range"),
        ("UPDATE mailboxes SET uidvalidity = 0", "UIDVALIDITY 0 is out of range"),
        ("UPDATE mailboxes SET recent_uid = 99", "first recent UID 99"),
        ("UPDATE mailboxes SET highestmodseq = tombstone_floor", "is above HIGHESTMODSEQ"),
        ("UPDATE mailboxes SET tombstone_floor = highestmodseq + 1", "do not fit"),
        ("UPDATE placements SET keywords = 'b a'", "not in their order"),
        ("INSERT INTO tombstones SELECT mailbox_id, uid, modseq FROM placements", "UID 1 is both there and removed"),
        ("INSERT INTO tombstones SELECT id, 77, highestmodseq FROM mailboxes", "a tombstone has UID 77"),
        ("UPDATE mailboxes SET object_id = (SELECT object_id FROM mailboxes ORDER BY id DESC)", "is shared"),
        ("UPDATE messages SET email_id = 'X', thread_id = 'X'", "X is both EMAILID and THREADID"),
        ("UPDATE messages SET kept_id = 5", "kept octets of unknown hash or size"),
        ("UPDATE messages SET scope_mailbox_id = 4711", "holds a message of another account or mailbox"),
        ("INSERT INTO subscribed_names SELECT id, '[]', NULL FROM accounts", "the subscribed name '[]' cannot be read"),
    ],
)
async def test_each_damage_is_named(damaged: Store, damage: str, complaint: str) -> None:
    place = await fill(damaged)
    statement = text(damage + (f" WHERE id = {place.inbox}" if damage.startswith("UPDATE mailboxes") else ""))
    await damaged.write(lambda tx: tx.execute(statement))
    found = await damaged.read(invariants.check)
    assert any(complaint in item for item in found), found
    if "mailboxes" in damage and "INSERT" not in damage and "object_id" not in damage:
        assert all(item.startswith(f"mailbox {place.inbox}: ") for item in found)


async def test_a_placement_without_its_message_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mail.db"
    store = await Store.open(url)
    await fill(store)
    await store.close()
    # As after a repair with a tool that does not enforce foreign keys.
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.db")) as connection:
        connection.execute("DELETE FROM messages")
        connection.commit()
    store = await Store.open(url)
    found = await store.read(invariants.check)
    await store.close()
    assert any("UID 1 holds a message that does not exist" in item for item in found), found
