"""Which octets a message has, and new UIDs for those that have others now."""

from __future__ import annotations

from gateway.store import contents, intents, mailboxes, messages, outlines, placements, tombstones
from gateway.store.database import Store, Transaction
from gateway.store.messages import Hydration, MessageValues
from gateway.store.outlines import OutlineValues
from tests.gateway.store.conftest import Place
from tests.gateway.store.test_outlines import hydration, place_messages

ONE, TWO = b"\1" * 32, b"\2" * 32


async def test_the_first_octets_that_are_claimed_stay(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b = await place_messages(tx, place, "a", "b")
        assert await contents.claim(tx, {a: ONE, 99_999: ONE}) == set()
        assert await contents.claim(tx, {a: TWO, b: TWO}) == {a}
        assert await contents.claim(tx, {a: ONE, b: TWO}) == set()
        rows = await messages.message_rows(tx, [a, b])
        assert [rows[key].content_hash for key in (a, b)] == [ONE, TWO]

    await store.write(body)


async def test_kept_octets_are_shared_with_copies_unless_those_have_their_own(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c, d = await place_messages(tx, place, "a", "b", "c", "d")
        await contents.keep(tx, a, 7, ONE, 500)
        await contents.claim(tx, {c: TWO})
        assert await contents.share(tx, [(a, b), (a, c), (a, a), (c, d)]) == {b}
        assert await contents.kept_ids(tx, [a, b, c, d]) == {a: 7, b: 7}
        row = (await messages.message_rows(tx, [b]))[b]
        assert (row.content_hash, row.size, row.size_is_exact) == (ONE, 500, True)

    await store.write(body)


async def test_kept_octets_are_in_use_by_messages_and_by_appends_under_way(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await contents.keep(tx, a, 1_000, ONE, 5)
        intent_id = await intents.record(tx, place.account_id, "append", {}, TWO)
        assert await contents.kept_in_use(tx, place.account_id) == {1_000, intent_id}
        await intents.settle(tx, intent_id)
        await placements.remove_placements(tx, place.inbox, [1])
        await messages.delete_messages(tx, [a])
        assert await contents.kept_in_use(tx, place.account_id) == set()

    await store.write(body)


async def test_a_renewed_message_has_new_uids_and_keeps_flags_and_dates(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        values = [MessageValues("a", 1_700_000_000, 60, 10, email_id="E", thread_id="T")]
        a = (await messages.upsert_messages(tx, place.account_id, 0, values))["a"]
        (b,) = await place_messages(tx, place, "b")
        await placements.insert_placements(tx, place.inbox, [(a, 1, "$x", None, 1_700_000_009)])
        await placements.insert_placements(tx, place.other, [(a, 1, "$x", None, None)])
        await outlines.save_outlines(tx, [OutlineValues(a, b"h", b"e", b"bs", b"i", "p", Hydration.FULL)])
        await contents.keep(tx, a, 7, ONE, 12)
        told = (await messages.object_ids(tx, [a]))[a]
        renewed = await contents.renew(tx, [a])
        assert renewed.keys() == {a}
        new = renewed[a].message_id
        assert renewed[a].uids == {place.inbox: 3, place.other: 2}
        (_, placed) = await placements.load(tx, place.inbox)
        assert (placed[0], placed[1], placed[2:4], placed[9]) == (3, new, (1, "$x"), 1_700_000_009)
        assert await tombstones.since(tx, place.inbox, 0) == [2]
        row = (await messages.message_rows(tx, [new]))[new]
        assert (row.ref, row.internal_date, row.internal_zone) == ("a", 1_700_000_000, 60)
        assert (row.size_is_exact, row.content_hash, row.hydration) == (False, None, Hydration.NONE)
        assert (await messages.object_ids(tx, [new]))[new].thread_id == told.thread_id
        assert (await messages.object_ids(tx, [new]))[new].email_id != told.email_id
        # What clients were told of the old one is still there, and it is not renewed again.
        assert await outlines.structures(tx, [a]) == {a: b"bs"}
        assert await contents.renew(tx, [a]) == {}
        assert (await mailboxes.mailboxes_of(tx, place.account_id))[0].messages == 2
        assert await messages.refs_by_ids(tx, [b]) == {b: "b"}

    await store.write(body)


async def test_a_message_that_is_nowhere_is_only_retired(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await placements.remove_placements(tx, place.inbox, [1])
        assert await contents.renew(tx, [a]) == {}
        assert messages.is_retired((await messages.refs_by_ids(tx, [a]))[a])

    await store.write(body)


async def test_header_values_give_way_to_the_block_and_the_envelope_stays(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await outlines.save_outlines(tx, [OutlineValues(a, b"A: 1\r\n\r\n", b"(told)", header_is_exact=False)])
        assert await outlines.header_blocks(tx, [a]) == {}
        assert await outlines.with_header_block(tx, [a]) == set()
        assert await outlines.header_values(tx, [a]) == {a: b"A: 1\r\n\r\n"}
        assert await hydration(tx, a) is Hydration.HEADER
        await outlines.save_outlines(tx, [OutlineValues(a, b"a: 1\r\n\r\n", b"(later)", hydration=Hydration.FULL)])
        assert await outlines.header_blocks(tx, [a]) == {a: b"a: 1\r\n\r\n"}
        assert await outlines.with_header_block(tx, [a]) == {a}
        assert await outlines.header_values(tx, [a]) == {a: b"a: 1\r\n\r\n"}
        assert await outlines.envelopes(tx, [a]) == {a: b"(told)"}

    await store.write(body)


async def test_a_copy_in_other_octets_takes_over_envelope_and_header_values_only(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c, d = await place_messages(tx, place, "a", "b", "c", "d")
        await outlines.save_outlines(tx, [OutlineValues(a, b"h", b"e", b"bs", b"i", "p", Hydration.FULL)])
        await outlines.save_outlines(tx, [OutlineValues(c, b"v", b"e2", header_is_exact=False)])
        await outlines.copy_envelopes(tx, [(a, b), (c, d), (a, a)])
        assert await outlines.envelopes(tx, [b, d]) == {b: b"e", d: b"e2"}
        assert await outlines.header_values(tx, [b, d]) == {b: b"h", d: b"v"}
        assert await outlines.header_blocks(tx, [b, d]) == {}
        assert await outlines.structures(tx, [b]) == {}
        assert [await hydration(tx, key) for key in (b, d)] == [Hydration.HEADER, Hydration.HEADER]

    await store.write(body)
