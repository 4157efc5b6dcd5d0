"""UIDs, mod-sequences and counters of placements."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.store import flags, mailboxes, messages, placements, tombstones
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict, StoreError, UidsExhausted
from gateway.store.mailboxes import MAX_UIDNEXT, MailboxRow
from gateway.store.messages import MessageValues
from tests.gateway.store.conftest import Place


async def mailbox(tx: Transaction, mailbox_id: int) -> MailboxRow:
    row = await mailboxes.mailbox_by_id(tx, mailbox_id)
    assert row is not None
    return row


async def add_messages(tx: Transaction, place: Place, refs: Sequence[str], size: int = 10) -> list[int]:
    ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues(ref, size=size) for ref in refs])
    return [ids[ref] for ref in refs]


async def fill(tx: Transaction, place: Place, count: int, bits: int = 0) -> list[int]:
    """Place `count` new messages in the inbox; return their UIDs."""
    ids = await add_messages(tx, place, [f"m{n}" for n in range(count)])
    uids, _ = await placements.insert_placements(tx, place.inbox, [(i, bits, "", None, None) for i in ids])
    return uids


async def test_uids_are_allocated_in_the_order_given(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailbox(tx, place.inbox)
        ids = await add_messages(tx, place, ["c", "a", "b"])
        uids, modseq = await placements.insert_placements(
            tx,
            place.inbox,
            [(ids[0], flags.SEEN, "", None, None), (ids[1], 0, "x", None, 7), (ids[2], flags.DELETED, "", None, None)],
        )
        assert uids == [1, 2, 3]
        after = await mailbox(tx, place.inbox)
        assert modseq == after.highestmodseq == before.highestmodseq + 1
        assert (after.uidnext, after.messages, after.unseen, after.deleted, after.octets) == (4, 3, 2, 1, 30)
        rows = await placements.load(tx, place.inbox)
        assert [(row[0], row[1], row[2], row[3], row[4]) for row in rows] == [
            (1, ids[0], flags.SEEN, "", modseq),
            (2, ids[1], 0, "x", modseq),
            (3, ids[2], flags.DELETED, "", modseq),
        ]
        assert rows[1][9] == 7

    await store.write(body)


async def test_given_uids_are_kept_and_raise_uidnext(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await add_messages(tx, place, ["a", "b", "c", "d"])
        uids, _ = await placements.insert_placements(
            tx,
            place.inbox,
            [
                (ids[0], 0, "", 70, None),
                (ids[1], 0, "", None, None),
                (ids[2], 0, "", 5, None),
                (ids[3], 0, "", None, None),
            ],
        )
        assert uids == [70, 71, 5, 72]
        assert (await mailbox(tx, place.inbox)).uidnext == 73
        assert [row[0] for row in await placements.load(tx, place.inbox)] == [5, 70, 71, 72]

    await store.write(body)


async def test_a_given_uid_that_was_removed_is_no_longer_a_tombstone(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        first, second = await add_messages(tx, place, ["a", "b"])
        await placements.insert_placements(tx, place.inbox, [(first, 0, "", 9, None)])
        await placements.remove_placements(tx, place.inbox, [9])
        await placements.insert_placements(tx, place.inbox, [(second, 0, "", 9, None)])
        assert await tombstones.since(tx, place.inbox, 0) == []

    await store.write(body)


async def test_a_removed_uid_is_never_given_out_again(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 3)
        await placements.remove_placements(tx, place.inbox, [3, 2])
        (late,) = await add_messages(tx, place, ["late"])
        uids, _ = await placements.insert_placements(tx, place.inbox, [(late, 0, "", None, None)])
        assert uids == [4]

    await store.write(body)


async def test_a_message_is_in_a_mailbox_once(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 1)
        (message_id,) = await add_messages(tx, place, ["m0"])
        await placements.insert_placements(tx, place.inbox, [(message_id, 0, "", None, None)])

    with pytest.raises(Conflict):
        await store.write(body)
    assert await store.read(lambda tx: placements.load(tx, place.inbox)) == []


@pytest.mark.parametrize("asked", [[1, 2, 4], [1, 2, 3, 4], [1, 4], [4, 2, 1], [2], [2, 9]])
async def test_only_those_asked_for_are_found_though_one_is_gone_and_another_between(
    store: Store, place: Place, asked: list[int]
) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 4)
        await placements.remove_placements(tx, place.inbox, [2])
        found = await placements.by_uids(tx, place.inbox, asked)
        assert [row[0] for row in found] == sorted({1, 3, 4} & set(asked))

    await store.write(body)


async def test_a_taken_uid_is_refused(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 1)
        (message_id,) = await add_messages(tx, place, ["new"])
        await placements.insert_placements(tx, place.inbox, [(message_id, 0, "", 1, None)])

    with pytest.raises(Conflict):
        await store.write(body)


async def test_the_last_uid_leaves_uidnext_within_32_bits(store: Store, place: Place) -> None:
    async def fill_up(tx: Transaction) -> None:
        (message_id,) = await add_messages(tx, place, ["a"])
        await placements.insert_placements(tx, place.inbox, [(message_id, 0, "", MAX_UIDNEXT - 1, None)])
        assert (await mailbox(tx, place.inbox)).uidnext == MAX_UIDNEXT

    async def one_more(tx: Transaction) -> None:
        (message_id,) = await add_messages(tx, place, ["b"])
        await placements.insert_placements(tx, place.inbox, [(message_id, 0, "", None, None)])

    await store.write(fill_up)
    with pytest.raises(UidsExhausted):
        await store.write(one_more)


async def test_only_changed_flags_are_stamped(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 3)
        before = (await mailbox(tx, place.inbox)).highestmodseq
        modseq = await placements.set_flags(
            tx, place.inbox, [(1, 0, ""), (2, flags.SEEN | flags.DELETED, "$a $b"), (3, flags.SEEN, ""), (99, 1, "")]
        )
        assert modseq == before + 1
        assert [row[0] for row in await placements.changed_since(tx, place.inbox, before)] == [2, 3]
        after = await mailbox(tx, place.inbox)
        assert (after.highestmodseq, after.unseen, after.deleted) == (modseq, 1, 1)

    await store.write(body)


async def test_equal_flags_raise_nothing(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 2, flags.FLAGGED)
        before = await mailbox(tx, place.inbox)
        assert await placements.set_flags(tx, place.inbox, [(1, flags.FLAGGED, ""), (2, flags.FLAGGED, "")]) == (
            before.highestmodseq
        )
        assert await mailbox(tx, place.inbox) == before

    await store.write(body)


async def test_removal_leaves_tombstones_and_counts_down(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 3, flags.DELETED)
        before = (await mailbox(tx, place.inbox)).highestmodseq
        modseq = await placements.remove_placements(tx, place.inbox, [3, 1, 77])
        after = await mailbox(tx, place.inbox)
        assert modseq == after.highestmodseq == before + 1
        assert (after.messages, after.unseen, after.deleted, after.octets) == (1, 1, 1, 10)
        assert await tombstones.since(tx, place.inbox, before) == [1, 3]
        assert await tombstones.since(tx, place.inbox, modseq) == []
        assert await placements.remove_placements(tx, place.inbox, [3, 1]) == modseq

    await store.write(body)


async def test_empty_calls_change_nothing(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailbox(tx, place.inbox)
        assert await placements.insert_placements(tx, place.inbox, []) == ([], before.highestmodseq)
        assert await placements.set_flags(tx, place.inbox, []) == before.highestmodseq
        assert await placements.remove_placements(tx, place.inbox, []) == before.highestmodseq
        assert await mailbox(tx, place.inbox) == before

    await store.write(body)


async def test_ranges_walk_through_a_mailbox(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 5)
        await placements.remove_placements(tx, place.inbox, [2])
        assert [row[0] for row in await placements.load_range(tx, place.inbox, 0, 2)] == [1, 3]
        assert [row[0] for row in await placements.load_range(tx, place.inbox, 3, 2)] == [4, 5]
        assert await placements.load_range(tx, place.inbox, 5, 2) == []
        assert [row[0] for row in await placements.of_uids(tx, place.inbox, [5, 2, 1])] == [1, 5]

    await store.write(body)


async def test_placements_are_found_by_ref_and_by_message(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 2)
        ids = await add_messages(tx, place, ["m0", "m1"])
        await placements.insert_placements(tx, place.other, [(ids[1], flags.SEEN, "k", None, None)])
        assert await placements.by_refs(tx, place.inbox, ["m1", "nope"]) == [("m1", 2, ids[1], 0, "")]
        assert await placements.refs_of(tx, place.inbox) == [("m0", 1, ids[0], 0, ""), ("m1", 2, ids[1], 0, "")]
        assert await placements.by_message_ids(tx, [ids[1]]) == [
            (place.inbox, 2, ids[1], 0, ""),
            (place.other, 1, ids[1], flags.SEEN, "k"),
        ]

    await store.write(body)


async def test_first_unseen_is_the_lowest_uid_without_seen(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        assert await placements.first_unseen(tx, place.inbox) is None
        await fill(tx, place, 3)
        await placements.set_flags(tx, place.inbox, [(1, flags.SEEN, "")])
        assert await placements.first_unseen(tx, place.inbox) == 2

    await store.write(body)


async def test_flags_of_a_range_with_holes_and_different_states_are_set_one_by_one_or_together(
    store: Store, place: Place
) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 60)
        await placements.remove_placements(tx, place.inbox, range(10, 20))
        await placements.set_flags(tx, place.inbox, [(5, flags.SEEN, ""), (30, flags.DRAFT, "k")])
        before = (await mailbox(tx, place.inbox)).highestmodseq
        wanted = [(uid, flags.SEEN, "") for uid in range(1, 40)] + [(uid, flags.DELETED, "") for uid in range(41, 50)]
        modseq = await placements.set_flags(tx, place.inbox, wanted)
        rows = {row[0]: (row[2], row[3], row[4]) for row in await placements.load(tx, place.inbox)}
        assert rows.pop(5) == (flags.SEEN, "", before)
        for uid, row in rows.items():
            if uid < 40:
                assert row == (flags.SEEN, "", modseq), uid
            elif 41 <= uid < 50:
                assert row == (flags.DELETED, "", modseq), uid
            else:
                assert row[:2] == (0, ""), uid
        # Alternating states make more runs than are worth an UPDATE each.
        zebra = [(uid, uid % 2, "") for uid in range(1, 61)]
        await placements.set_flags(tx, place.inbox, zebra)
        assert all(row[2] == row[0] % 2 for row in await placements.load(tx, place.inbox))

    await store.write(body)


async def test_a_mailbox_that_is_gone_has_nothing_to_change_or_remove(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 2)
        await mailboxes.delete_mailbox(tx, place.inbox)
        assert await placements.set_flags(tx, place.inbox, [(1, flags.SEEN, "")]) == 0
        assert await placements.remove_placements(tx, place.inbox, [1, 2]) == 0
        (message_id,) = await add_messages(tx, place, ["new"])
        with pytest.raises(StoreError, match="no mailbox"):
            await placements.insert_placements(tx, place.inbox, [(message_id, 0, "", None, None)])

    await store.write(body)
