"""A page placed by few statements is what the same page placed message by message would be."""

from __future__ import annotations

import pytest

from gateway.store import flags, listed, mailboxes, placements, tombstones
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict, StoreError, UidsExhausted
from gateway.store.listed import ROWS_PER_STATEMENT, ListedRow
from gateway.store.mailboxes import MAX_UIDNEXT, MailboxRow
from gateway.store.messages import MessageValues, message_rows, upsert_messages
from tests.gateway.store.conftest import Place


def row(ref: str, uid: int | None = None, bits: int = 0, keywords: str = "", size: int | None = 10) -> ListedRow:
    return (ref, uid, bits, keywords, 1_700_000_000, 60, size, int(size is not None))


async def mailbox(tx: Transaction, mailbox_id: int) -> MailboxRow:
    found = await mailboxes.mailbox_by_id(tx, mailbox_id)
    assert found is not None
    return found


async def test_uids_are_allocated_in_the_order_given(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailbox(tx, place.inbox)
        rows = [row("c", bits=flags.SEEN), row("a", keywords="x y"), row("b", bits=flags.DELETED, size=None)]
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, rows, 7)
        after = await mailbox(tx, place.inbox)
        assert after.highestmodseq == before.highestmodseq + 1
        assert (after.uidnext, after.messages, after.unseen, after.deleted, after.octets) == (4, 3, 2, 1, 20)
        placed = await placements.by_uids(tx, place.inbox, [1, 2, 3])
        assert [(uid, ref, bits, keywords, modseq) for uid, _, ref, bits, keywords, modseq in placed] == [
            (1, "c", flags.SEEN, "", after.highestmodseq),
            (2, "a", 0, "x y", after.highestmodseq),
            (3, "b", flags.DELETED, "", after.highestmodseq),
        ]
        messages = await message_rows(tx, [message_id for _, message_id, *_ in placed])
        assert [(m.internal_date, m.internal_zone, m.size, m.size_is_exact) for m in messages.values()] == [
            (1_700_000_000, 60, 10, True),
            (1_700_000_000, 60, 10, True),
            (1_700_000_000, 60, None, False),
        ]

    await store.write(body)


async def test_given_uids_are_kept_and_their_tombstones_go(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        rows = [row("5", 5), row("9", 9)]
        await listed.insert_listed(tx, place.account_id, place.inbox, place.inbox, rows, 7)
        await placements.remove_placements(tx, place.inbox, [9])
        floor = (await mailbox(tx, place.inbox)).tombstone_floor
        assert await tombstones.since(tx, place.inbox, floor) == [9]
        await listed.insert_listed(tx, place.account_id, place.inbox, place.inbox, [row("9b", 9)], 7)
        assert await tombstones.since(tx, place.inbox, floor) == []
        after = await mailbox(tx, place.inbox)
        assert (after.uidnext, after.messages) == (10, 2)

    await store.write(body)


async def test_a_page_longer_than_a_statement_is_whole(store: Store, place: Place) -> None:
    count = 2 * ROWS_PER_STATEMENT + 3

    async def body(tx: Transaction) -> None:
        rows = [row(f"m{number}") for number in range(count)]
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, rows, 7)
        assert (await mailbox(tx, place.inbox)).messages == count
        refs = await listed.refs_after(tx, place.inbox, 0, count + 1)
        assert refs == [(number + 1, f"m{number}") for number in range(count)]
        assert await listed.refs_after(tx, place.inbox, count - 1, 5) == [(count, f"m{count - 1}")]

    await store.write(body)


async def test_what_is_known_is_found_in_its_scope_only(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await upsert_messages(tx, place.account_id, place.inbox, [MessageValues("1")])
        assert await listed.any_known(tx, place.account_id, place.inbox, ["0", "1"])
        assert not await listed.any_known(tx, place.account_id, place.inbox, ["0", "2"])
        assert not await listed.any_known(tx, place.account_id, place.other, ["0", "1"])

    await store.write(body)


async def test_a_message_that_is_known_after_all_is_a_conflict(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await upsert_messages(tx, place.account_id, 0, [MessageValues("a")])
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, [row("b"), row("a")], 7)

    with pytest.raises(Conflict):
        await store.write(body)


async def test_a_uid_that_is_taken_is_a_conflict(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, [row("a", 4)], 7)
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, [row("b", 4)], 7)

    with pytest.raises(Conflict):
        await store.write(body)


async def test_uids_run_out(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await mailboxes.raise_uidnext(tx, place.inbox, MAX_UIDNEXT)
        await listed.insert_listed(tx, place.account_id, 0, place.inbox, [row("a")], 7)

    with pytest.raises(UidsExhausted):
        await store.write(body)


async def test_a_mailbox_that_is_not_there_is_an_error(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await listed.insert_listed(tx, place.account_id, 0, 999, [row("a")], 7)

    with pytest.raises(StoreError):
        await store.write(body)


async def test_a_scope_is_empty_until_a_ref_is_known_in_it(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await upsert_messages(tx, place.account_id, place.other, [MessageValues("1")])
        assert await listed.is_scope_empty(tx, place.account_id, place.inbox)
        await upsert_messages(tx, place.account_id, place.inbox, [MessageValues("1")])
        assert not await listed.is_scope_empty(tx, place.account_id, place.inbox)

    await store.write(body)
