"""Mailbox rows: what the backend says, and UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and \\Recent."""

from __future__ import annotations

import pytest

from connectors.api.types import Role
from gateway.store import accounts, flags, mailboxes, messages, placements, tombstones
from gateway.store.database import Body, Store, Transaction
from gateway.store.errors import Conflict, UidsExhausted
from gateway.store.messages import MessageValues
from gateway.store.sqlite import SqliteTransaction
from tests.gateway.store.conftest import Place, add_place
from tests.manual_clock import ManualClock


async def put(tx: Transaction, place: Place, mailbox_id: int, *refs: str, scope: int = 0) -> list[int]:
    ids = await messages.upsert_messages(tx, place.account_id, scope, [MessageValues(ref, size=5) for ref in refs])
    await placements.insert_placements(tx, mailbox_id, [(ids[ref], 0, "", None, None) for ref in refs])
    return [ids[ref] for ref in refs]


async def test_a_mailbox_comes_back_as_it_was_put(store: Store, place: Place, clock: ManualClock) -> None:
    async def body(tx: Transaction) -> None:
        made = await mailboxes.insert_mailbox(
            tx,
            place.account_id,
            "ref/1",
            ("Lists", "a/b.c ü\N{SNOWMAN}"),
            Role.ARCHIVE,
            is_selectable=False,
            allows_children=False,
            is_read_only=True,
            is_subscribed=False,
            storable_flags=["\\Seen", "$Forwarded"],
            any_keyword=False,
        )
        assert await mailboxes.mailbox_by_id(tx, made.id) == made
        assert await mailboxes.mailbox_by_ref(tx, place.account_id, "ref/1") == made
        assert (await mailboxes.mailboxes_of(tx, place.account_id))[-1] == made
        assert made.path == ("Lists", "a/b.c ü\N{SNOWMAN}")
        assert made.role is Role.ARCHIVE
        assert made.storable_flags == {"\\Seen", "$Forwarded"}
        assert (made.is_selectable, made.allows_children, made.is_read_only) == (False, False, True)
        assert (made.is_subscribed, made.any_keyword, made.is_listed, made.cursor) == (False, False, False, None)
        assert (made.uidnext, made.recent_uid, made.messages, made.unseen, made.deleted, made.octets) == (
            (1, 1, 0, 0, 0, 0)
        )
        assert made.highestmodseq == made.tombstone_floor == int(clock.now().timestamp()) << 16

    await store.write(body)


async def test_mod_sequences_of_a_mailbox_that_comes_back_rise_though_the_clock_fell(
    store: Store, place: Place, clock: ManualClock
) -> None:
    async def come(tx: Transaction) -> int:
        return (await mailboxes.insert_mailbox(tx, place.account_id, "ref", ("Back",), uidvalidity=7)).id

    async def told(tx: Transaction) -> int:
        row = await mailboxes.mailbox_by_ref(tx, place.account_id, "ref")
        assert row is not None
        return row.highestmodseq

    first = await store.write(come)
    await store.write(lambda tx: put(tx, place, first, "a"))
    before = await store.read(told)
    await store.write(lambda tx: mailboxes.delete_mailbox(tx, first))
    clock.set_back(100_000)
    second = await store.write(come)
    # Under the same UIDVALIDITY a client would else never hear of what happens now.
    assert await store.read(told) > before
    await store.write(lambda tx: mailboxes.delete_mailbox(tx, second))
    clock.advance(200_000)
    await store.write(come)
    assert await store.read(told) == int(clock.now().timestamp()) << 16


async def test_each_uidvalidity_is_larger_than_all_before(store: Store, place: Place, clock: ManualClock) -> None:
    async def allocate(tx: Transaction) -> int:
        return await mailboxes.allocate_uidvalidity(tx)

    given = [row.uidvalidity for row in await store.read(lambda tx: mailboxes.mailboxes_of(tx, place.account_id))]
    given += [await store.write(allocate) for _ in range(3)]
    clock.set_back(100_000)
    given.append(await store.write(allocate))
    clock.advance(200_000)
    given.append(await store.write(allocate))
    assert given == sorted(set(given))
    assert given[-1] == int(clock.now().timestamp())


async def test_a_name_created_again_gets_a_new_uidvalidity(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailboxes.mailbox_by_id(tx, place.other)
        assert before is not None
        assert await mailboxes.delete_mailbox(tx, place.other)
        after = await mailboxes.insert_mailbox(tx, place.account_id, before.ref, before.path)
        assert after.uidvalidity > before.uidvalidity
        assert after.id != before.id

    await store.write(body)


async def test_a_backends_own_numbers_pass_through(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        made = await mailboxes.insert_mailbox(tx, place.account_id, "x", ("X",), uidvalidity=7, uidnext=1234)
        assert (made.uidvalidity, made.uidnext, made.recent_uid) == (7, 1234, 1234)

    await store.write(body)


async def test_two_mailboxes_of_one_ref_are_refused(store: Store, place: Place) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda tx: mailboxes.insert_mailbox(tx, place.account_id, "in", ("Again",)))


async def test_given_columns_change_and_no_others(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailboxes.mailbox_by_id(tx, place.other)
        await mailboxes.update_mailbox(
            tx,
            place.other,
            path=("New", "Name"),
            ref="new ref",
            role=Role.JUNK,
            is_subscribed=False,
            storable_flags={"\\Seen"},
        )
        after = await mailboxes.mailbox_by_id(tx, place.other)
        assert before is not None
        assert after is not None
        assert (after.path, after.ref, after.role) == (("New", "Name"), "new ref", Role.JUNK)
        assert not after.is_subscribed
        assert after.storable_flags == {"\\Seen"}
        assert (after.uidvalidity, after.uidnext, after.is_selectable) == (before.uidvalidity, before.uidnext, True)
        await mailboxes.update_mailbox(tx, place.other, role=None)
        again = await mailboxes.mailbox_by_id(tx, place.other)
        assert again is not None
        assert again.role is None

    await store.write(body)


async def test_two_names_can_be_swapped(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await mailboxes.update_mailbox(tx, place.inbox, path=("Other",))
        await mailboxes.update_mailbox(tx, place.other, path=("INBOX",))
        rows = await mailboxes.mailboxes_of(tx, place.account_id)
        assert [row.path for row in rows] == [("Other",), ("INBOX",)]

    await store.write(body)


async def test_deleting_a_mailbox_keeps_messages_that_are_elsewhere(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        only, shared = await put(tx, place, place.other, "only", "shared")
        await placements.insert_placements(tx, place.inbox, [(shared, 0, "", None, None)])
        (scoped,) = await put(tx, place, place.other, "scoped", scope=place.other)
        gone = await messages.upsert_messages(tx, place.account_id, place.other, [MessageValues("gone")])
        assert await mailboxes.delete_mailbox(tx, place.other)
        assert set(await messages.message_rows(tx, [only, shared, scoped, gone["gone"]])) == {shared}
        assert [row[1] for row in await placements.load(tx, place.inbox)] == [shared]
        assert not await mailboxes.delete_mailbox(tx, place.other)

    await store.write(body)


async def test_a_cursor_is_recorded_with_its_time(store: Store, place: Place, clock: ManualClock) -> None:
    async def body(tx: Transaction) -> None:
        await mailboxes.set_mailbox_cursor(tx, place.inbox, "c1")
        row = await mailboxes.mailbox_by_id(tx, place.inbox)
        assert row is not None
        assert (row.cursor, row.is_listed, row.synced_at) == ("c1", True, int(clock.now().timestamp()))
        await mailboxes.set_mailbox_cursor(tx, place.inbox, None, False)
        row = await mailboxes.mailbox_by_id(tx, place.inbox)
        assert row is not None
        assert (row.cursor, row.is_listed) == (None, False)

    await store.write(body)


async def test_a_reset_forgets_the_map_and_goes_on_counting(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (kept,) = await put(tx, place, place.inbox, "account-wide")
        (scoped,) = await put(tx, place, place.inbox, "17", scope=place.inbox)
        await put(tx, place, place.inbox, "removed")
        await placements.remove_placements(tx, place.inbox, [3])
        await mailboxes.set_mailbox_cursor(tx, place.inbox, "c")
        before = await mailboxes.mailbox_by_id(tx, place.inbox)
        after = await mailboxes.reset_mailbox(tx, place.inbox)
        assert before is not None
        assert after is not None
        assert after.uidvalidity > before.uidvalidity
        assert (after.uidnext, after.recent_uid, after.messages, after.octets, after.cursor, after.is_listed) == (
            (1, 1, 0, 0, None, False)
        )
        assert after.highestmodseq == after.tombstone_floor == before.highestmodseq + 1
        assert await placements.load(tx, place.inbox) == []
        assert await tombstones.since(tx, place.inbox, 0) == []
        # Under a new UIDVALIDITY the backend's UID 17 is another message; a ref of the account still is the same.
        assert set(await messages.message_rows(tx, [kept, scoped])) == {kept}

    await store.write(body)


async def test_a_reset_takes_the_backends_numbers(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        row = await mailboxes.reset_mailbox(tx, place.inbox, uidvalidity=99, uidnext=50)
        assert row is not None
        assert (row.uidvalidity, row.uidnext, row.recent_uid) == (99, 50, 50)
        again = await mailboxes.reset_mailbox(tx, place.inbox)
        assert again is not None
        assert again.uidvalidity > 99
        assert await mailboxes.reset_mailbox(tx, 12345) is None

    await store.write(body)


async def test_a_mailbox_id_is_permanent_until_a_reset(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        row = await mailboxes.insert_mailbox(tx, place.account_id, "p", ("Projects",), backend_id="P1")
        assert row.object_id == "P1"
        await mailboxes.update_mailbox(tx, row.id, ref="q", path=("Renamed",))
        renamed = await mailboxes.mailbox_by_id(tx, row.id)
        assert renamed is not None
        assert renamed.object_id == "P1"
        reset = await mailboxes.reset_mailbox(tx, row.id, backend_id="P2")
        assert reset is not None
        assert reset.object_id == "P2"
        # Void UIDs make it another mailbox (RFC 8474 section 4), whatever the backend says.
        again = await mailboxes.reset_mailbox(tx, row.id, backend_id="P2")
        assert again is not None
        assert again.object_id != "P2"

    await store.write(body)


async def test_no_two_mailboxes_share_an_id(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        work = await accounts.add_account(tx, place.user_id, "Work", "memory", {})
        rows = [
            await mailboxes.insert_mailbox(tx, account_id, ref, (ref,), backend_id=backend_id)
            for account_id in (place.account_id, work.id)
            for ref, backend_id in (("1", "a"), ("2", "a"), ("3", None), ("4", "not legal"))
        ]
        assert rows[0].object_id == "a"
        assert len({row.object_id for row in rows}) == len(rows)
        await mailboxes.delete_mailbox(tx, rows[2].id)
        anew = await mailboxes.insert_mailbox(tx, place.account_id, "3", ("3",))
        assert anew.object_id != rows[2].object_id

    await store.write(body)


async def test_a_new_uidvalidity_is_above_a_backends_larger_one(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await mailboxes.reset_mailbox(tx, place.inbox, uidvalidity=4_000_000_000)
        row = await mailboxes.reset_mailbox(tx, place.inbox)
        assert row is not None
        assert row.uidvalidity == 4_000_000_001

    await store.write(body)


async def test_uidnext_only_rises(store: Store, place: Place) -> None:
    async def uidnext(tx: Transaction, at_least: int) -> int:
        await mailboxes.raise_uidnext(tx, place.inbox, at_least)
        row = await mailboxes.mailbox_by_id(tx, place.inbox)
        assert row is not None
        return row.uidnext

    assert await store.write(lambda tx: uidnext(tx, 10)) == 10
    assert await store.write(lambda tx: uidnext(tx, 5)) == 10
    with pytest.raises(UidsExhausted):
        await store.write(lambda tx: uidnext(tx, 2**32))


async def test_a_message_is_recent_for_one_session(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await put(tx, place, place.inbox, "a", "b")
        assert await mailboxes.claim_recent(tx, place.inbox) == 1
        assert await mailboxes.claim_recent(tx, place.inbox) == 3
        await put(tx, place, place.inbox, "c")
        assert await mailboxes.claim_recent(tx, place.inbox) == 3
        assert await mailboxes.claim_recent(tx, place.inbox) == 4
        assert await mailboxes.claim_recent(tx, 12345) == 0

    await store.write(body)


async def test_tombstones_are_pruned_whole_changes_at_a_time(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await put(tx, place, place.inbox, *"abcdefg")
        base = await tombstones.floor(tx, place.inbox)
        first = await placements.remove_placements(tx, place.inbox, [1, 2])
        second = await placements.remove_placements(tx, place.inbox, [3, 4, 5])
        third = await placements.remove_placements(tx, place.inbox, [6])
        assert await tombstones.count(tx, place.inbox) == 6
        assert await tombstones.prune(tx, place.inbox, 10) == 0
        assert await tombstones.floor(tx, place.inbox) == base
        assert await tombstones.prune(tx, place.inbox, 3) == 5
        assert await tombstones.floor(tx, place.inbox) == second
        assert await tombstones.since(tx, place.inbox, second) == [6]
        assert await tombstones.prune(tx, place.inbox, 0) == 1
        assert await tombstones.floor(tx, place.inbox) == third > second > first
        assert await tombstones.floor(tx, 12345) == 0

    await store.write(body)


async def test_counters_follow_flags_of_a_passed_through_mailbox(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await put(tx, place, place.inbox, "a", "b")
        await placements.set_flags(tx, place.inbox, [(1, flags.SEEN, ""), (2, flags.DELETED, "")])
        row = await mailboxes.mailbox_by_id(tx, place.inbox)
        assert row is not None
        assert (row.messages, row.unseen, row.deleted, row.octets) == (2, 1, 1, 10)

    await store.write(body)


async def test_every_write_of_what_a_tree_shows_alters_the_version_of_that_tree_alone(
    store: Store, place: Place
) -> None:
    other = await add_place(store, "bert@example.org")
    seen_other = store.tree_version(other.account_id)

    async def alters(body: Body[object]) -> bool:
        before = store.tree_version(place.account_id)
        await store.write(body)
        return store.tree_version(place.account_id) != before

    assert await alters(lambda tx: mailboxes.insert_mailbox(tx, place.account_id, "new", ("New",)))
    assert await alters(lambda tx: mailboxes.update_mailbox(tx, place.other, path=("Renamed",)))
    assert await alters(lambda tx: mailboxes.update_mailbox(tx, place.other, is_subscribed=False, role=Role.SENT))
    assert await alters(lambda tx: mailboxes.delete_mailbox(tx, place.other))
    assert not await alters(lambda tx: mailboxes.delete_mailbox(tx, place.other))
    assert not await alters(lambda tx: put(tx, place, place.inbox, "a"))
    assert not await alters(lambda tx: mailboxes.set_mailbox_cursor(tx, place.inbox, "7"))
    assert store.tree_version(other.account_id) == seen_other


async def test_the_version_of_a_tree_is_a_new_one_before_its_commit_and_another_after_it(
    store: Store, place: Place
) -> None:
    versions = [store.tree_version(place.account_id)]

    async def body(tx: Transaction) -> None:
        assert isinstance(tx, SqliteTransaction)
        tx._connection.set_trace_callback(
            lambda sql: versions.append(store.tree_version(place.account_id)) if sql == "COMMIT" else None
        )
        await mailboxes.update_mailbox(tx, place.other, is_subscribed=False)

    async def untraced(tx: Transaction) -> None:
        assert isinstance(tx, SqliteTransaction)
        tx._connection.set_trace_callback(None)

    await store.write(body)
    versions.append(store.tree_version(place.account_id))
    await store.write(untraced)
    assert len(set(versions)) == len(versions) == 3
