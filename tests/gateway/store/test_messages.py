"""Messages: what completes what, and sizes that change."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from gateway.store import mailboxes, messages, placements
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict
from gateway.store.messages import Hydration, MessageRow, MessageValues
from tests.gateway.store.conftest import Place, add_place


async def upsert(tx: Transaction, place: Place, *values: MessageValues) -> dict[str, MessageRow]:
    ids = await messages.upsert_messages(tx, place.account_id, 0, values)
    rows = await messages.message_rows(tx, ids.values())
    return {ref: rows[message_id] for ref, message_id in ids.items()}


async def octets(tx: Transaction, mailbox_id: int) -> int:
    row = await mailboxes.mailbox_by_id(tx, mailbox_id)
    assert row is not None
    return row.octets


async def test_a_message_comes_back_as_it_was_put(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        rows = await upsert(tx, place, MessageValues("r", -5, 330, 100, False, "E1", "T1"), MessageValues("bare"))
        row = rows["r"]
        assert (row.internal_date, row.internal_zone, row.size, row.size_is_exact) == (-5, 330, 100, False)
        assert (row.email_id, row.thread_id, row.hydration) == ("E1", "T1", Hydration.NONE)
        assert (row.account_id, row.scope_mailbox_id, row.ref) == (place.account_id, 0, "r")
        bare = rows["bare"]
        assert (bare.internal_date, bare.size, bare.size_is_exact, bare.email_id) == (None, None, False, None)

    await store.write(body)


async def test_none_never_overwrites_what_is_known(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await upsert(tx, place, MessageValues("r", 1000, 60, 100, True, "E1", "T1"))
        assert await upsert(tx, place, MessageValues("r")) == before
        after = (await upsert(tx, place, MessageValues("r", size=200)))["r"]
        assert (after.internal_date, after.internal_zone, after.size, after.thread_id) == (1000, 60, 200, "T1")

    await store.write(body)


@pytest.mark.parametrize(
    ("known", "told", "result"),
    [
        ((None, False), (10, False), (10, False)),
        ((10, False), (11, False), (11, False)),
        ((10, False), (11, True), (11, True)),
        ((10, True), (11, False), (10, True)),
        ((10, True), (11, True), (11, True)),
        ((10, True), (None, True), (10, True)),
        ((10, False), (10, True), (10, True)),
    ],
)
async def test_an_estimate_never_overwrites_an_exact_size(
    store: Store, place: Place, known: tuple[int | None, bool], told: tuple[int | None, bool], result: tuple[int, bool]
) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(
            tx, place.account_id, 0, [MessageValues("r", size=known[0], size_is_exact=known[1])]
        )
        await placements.insert_placements(tx, place.inbox, [(ids["r"], 0, "", None, None)])
        row = (await upsert(tx, place, MessageValues("r", size=told[0], size_is_exact=told[1])))["r"]
        assert (row.size, row.size_is_exact) == result
        assert await octets(tx, place.inbox) == result[0]

    await store.write(body)


async def test_a_date_is_not_shown_in_the_zone_of_another(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await upsert(tx, place, MessageValues("r", 1000, 60))
        row = (await upsert(tx, place, MessageValues("s", 1000, 60), MessageValues("s", 2000)))["s"]
        assert (row.internal_date, row.internal_zone) == (2000, None)
        row = (await upsert(tx, place, MessageValues("s", 3000, 120)))["s"]
        assert (row.internal_date, row.internal_zone) == (2000, None)
        await upsert(tx, place, MessageValues("s", 2000, 60))
        row = (await upsert(tx, place, MessageValues("s", 2000)))["s"]
        assert (row.internal_date, row.internal_zone) == (2000, 60)

    await store.write(body)


async def test_a_ref_given_twice_is_one_message_and_the_later_wins(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        rows = await upsert(
            tx, place, MessageValues("r", 1, size=10), MessageValues("s"), MessageValues("r", size=20, email_id="E")
        )
        assert list(rows) == ["r", "s"]
        assert (rows["r"].internal_date, rows["r"].size, rows["r"].email_id) == (1, 20, "E")

    await store.write(body)


async def test_refs_count_in_their_scope(store: Store, place: Place) -> None:
    elsewhere = await add_place(store, "bert")

    async def body(tx: Transaction) -> None:
        one = await messages.upsert_messages(tx, place.account_id, place.inbox, [MessageValues("1")])
        two = await messages.upsert_messages(tx, place.account_id, place.other, [MessageValues("1")])
        three = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("1")])
        four = await messages.upsert_messages(tx, elsewhere.account_id, 0, [MessageValues("1")])
        ids = [one["1"], two["1"], three["1"], four["1"]]
        assert len(set(ids)) == 4
        assert await messages.ids_by_refs(tx, place.account_id, place.inbox, ["1", "2"]) == {"1": ids[0]}
        assert await messages.refs_by_ids(tx, [*ids, 999]) == dict.fromkeys(ids, "1")

    await store.write(body)


async def test_sizes_change_the_octets_of_every_mailbox_that_holds_the_message(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(
            tx, place.account_id, 0, [MessageValues("a", size=10, size_is_exact=False), MessageValues("b")]
        )
        a, b = ids["a"], ids["b"]
        for mailbox in (place.inbox, place.other):
            await placements.insert_placements(tx, mailbox, [(a, 0, "", None, None)])
        await placements.insert_placements(tx, place.inbox, [(b, 0, "", None, None)])
        await messages.set_sizes(tx, {a: 13, b: 100, 999: 5})
        assert (await octets(tx, place.inbox), await octets(tx, place.other)) == (113, 13)
        await messages.set_size(tx, a, 50, is_exact=False)
        assert (await octets(tx, place.inbox), await octets(tx, place.other)) == (113, 13)
        await messages.set_size(tx, a, 12)
        assert (await octets(tx, place.inbox), await octets(tx, place.other)) == (112, 12)
        assert (await messages.message_rows(tx, [a]))[a].size_is_exact

    await store.write(body)


async def test_a_date_is_recorded_only_where_none_is_known(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(
            tx, place.account_id, 0, [MessageValues("dated", 1000, 60), MessageValues("undated")]
        )
        date = datetime.fromtimestamp(2000, timezone(timedelta(minutes=330)))
        await messages.set_dates(tx, {ids["dated"]: date, ids["undated"]: date, 999: date})
        rows = await messages.message_rows(tx, ids.values())
        found = {row.ref: (row.internal_date, row.internal_zone) for row in rows.values()}
        assert found == {"dated": (1000, 60), "undated": (2000, 330)}
        await messages.set_dates(tx, {ids["dated"]: date}, is_final=True)
        await messages.copy_dates(tx, [(ids["dated"], ids["undated"])])
        row = (await upsert(tx, place, MessageValues("dated", 3000, 0)))["dated"]
        assert (row.internal_date, row.internal_zone) == (2000, 330)

    await store.write(body)


async def test_a_date_once_known_stays(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await upsert(tx, place, MessageValues("r", 1000, 60))
        row = (await upsert(tx, place, MessageValues("r", 2000, 0)))["r"]
        assert (row.internal_date, row.internal_zone) == (1000, 60)
        assert await messages.newest_id(tx) == row.id

    await store.write(body)


async def test_orphans_are_found_and_only_they_can_be_deleted(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues(ref) for ref in "abc"])
        await placements.insert_placements(tx, place.inbox, [(ids["b"], 0, "", None, None)])
        orphans = await messages.orphaned_messages(tx, place.account_id, 10)
        assert sorted(orphans) == sorted([ids["a"], ids["c"]])
        assert len(await messages.orphaned_messages(tx, place.account_id, 1)) == 1
        assert await messages.delete_messages(tx, ids.values()) == 2
        assert set(await messages.message_rows(tx, ids.values())) == {ids["b"]}

    await store.write(body)


async def test_an_id_is_never_used_twice(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        first = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a")])
        await messages.delete_messages(tx, first.values())
        second = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a")])
        assert second["a"] > first["a"]

    await store.write(body)


async def test_a_message_can_be_called_otherwise(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a"), MessageValues("b")])
        await messages.set_ref(tx, ids["a"], "c")
        assert await messages.ids_by_refs(tx, place.account_id, 0, ["a", "c"]) == {"c": ids["a"]}
        with pytest.raises(Conflict):
            await messages.set_ref(tx, ids["a"], "b")

    await store.write(body)


async def test_retired_messages_make_room_for_their_refs(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        old = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a")])
        await placements.insert_placements(tx, place.inbox, [(old["a"], 0, "", None, None)])
        await messages.retire(tx, old.values())
        await messages.retire(tx, old.values())
        new = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a")])
        assert new["a"] != old["a"]
        assert [row[1] for row in await placements.load(tx, place.inbox)] == [old["a"]]

    await store.write(body)


async def test_messages_are_found_by_the_hash_of_their_octets(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues("a"), MessageValues("b")])
        await messages.set_content_hash(tx, ids["a"], b"\1" * 32)
        assert await messages.messages_by_hash(tx, place.account_id, b"\1" * 32) == {ids["a"]: "a"}
        assert await messages.messages_by_hash(tx, place.account_id, b"\2" * 32) == {}

    await store.write(body)
