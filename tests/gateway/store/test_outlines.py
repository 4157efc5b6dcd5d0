"""Rendered outlines in their narrow tables."""

from __future__ import annotations

from gateway.store import messages, outlines, placements
from gateway.store.database import Store, Transaction
from gateway.store.messages import Hydration, MessageValues
from gateway.store.outline_runs import Outline, outline_run
from gateway.store.outlines import OutlineValues
from tests.gateway.store.conftest import Place


async def place_messages(tx: Transaction, place: Place, *refs: str) -> list[int]:
    ids = await messages.upsert_messages(tx, place.account_id, 0, [MessageValues(ref) for ref in refs])
    await placements.insert_placements(tx, place.inbox, [(ids[ref], 0, "", None, None) for ref in refs])
    return [ids[ref] for ref in refs]


async def hydration(tx: Transaction, message_id: int) -> Hydration:
    return (await messages.message_rows(tx, [message_id]))[message_id].hydration


async def test_outlines_come_back_by_message(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c = await place_messages(tx, place, "a", "b", "c")
        await outlines.save_outlines(
            tx,
            [
                OutlineValues(a, b"A: \xff\r\n\r\n", b"(env a)", b"(bs a)", b"idx", "Grüße", Hydration.FULL),
                OutlineValues(b, b"B\r\n\r\n", b"(env b)"),
            ],
        )
        assert await outlines.envelopes(tx, [a, b, c]) == {a: b"(env a)", b: b"(env b)"}
        assert await outlines.structures(tx, [a, b, c]) == {a: b"(bs a)"}
        assert await outlines.part_index(tx, [a, b, c]) == {a: b"idx"}
        assert await outlines.header_blocks(tx, [a, b]) == {a: b"A: \xff\r\n\r\n", b: b"B\r\n\r\n"}
        assert await outlines.previews(tx, [a, b, c]) == {a: "Grüße"}
        assert [await hydration(tx, item) for item in (a, b, c)] == [Hydration.FULL, Hydration.HEADER, Hydration.NONE]

    await store.write(body)


async def test_a_poorer_outline_takes_nothing_away(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await outlines.save_outlines(tx, [OutlineValues(a, b"h1", b"e1", b"bs", None, "p", Hydration.HEADER)])
        await outlines.save_outlines(tx, [OutlineValues(a, b"h2", b"e2", None, b"idx", None, Hydration.FULL)])
        await outlines.save_outlines(tx, [OutlineValues(a, b"h3", b"e3")])
        assert await outlines.header_blocks(tx, [a]) == {a: b"h3"}
        assert await outlines.structures(tx, [a]) == {a: b"bs"}
        assert await outlines.part_index(tx, [a]) == {a: b"idx"}
        assert await outlines.previews(tx, [a]) == {a: "p"}
        assert await hydration(tx, a) is Hydration.FULL

    await store.write(body)


async def test_a_message_that_is_gone_is_passed_over(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await outlines.save_outlines(tx, [OutlineValues(99_999, b"h", b"e", b"bs"), OutlineValues(a, b"h", b"e")])
        assert set(await outlines.envelopes(tx, [a, 99_999])) == {a}

    await store.write(body)


async def test_outlines_go_with_their_message(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        await outlines.save_outlines(tx, [OutlineValues(a, b"h", b"e", b"bs", b"i", "p")])
        await placements.remove_placements(tx, place.inbox, [1])
        assert await messages.delete_messages(tx, [a]) == 1
        assert not await outlines.envelopes(tx, [a])
        assert not await outlines.structures(tx, [a])
        assert not await outlines.header_blocks(tx, [a])
        assert await outline_run(tx, Outline.USUAL_HEADER, place.inbox, 1, 9) == []
        assert not await outlines.previews(tx, [a])

    await store.write(body)


async def test_what_lacks_an_outline_is_found_newest_first(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c, d = await place_messages(tx, place, "a", "b", "c", "d")
        await outlines.save_outlines(tx, [OutlineValues(c, b"h", b"e")])
        assert await outlines.newest_without_outline(tx, place.inbox, 2) == [(4, d, "d"), (2, b, "b")]
        assert await outlines.newest_without_outline(tx, place.inbox, 2, below_uid=2) == [(1, a, "a")]
        assert await outlines.without_outline(tx, place.inbox, [3, 1, 2, 77]) == [(1, a, "a"), (2, b, "b")]
        full = await outlines.without_outline(tx, place.inbox, [3], level=Hydration.FULL)
        assert full == [(3, c, "c")]

    await store.write(body)


async def test_a_copy_shares_what_was_read_of_its_original(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c = await place_messages(tx, place, "a", "b", "c")
        await outlines.save_outlines(tx, [OutlineValues(a, b"h", b"e", b"bs", b"i", "p", Hydration.FULL)])
        await outlines.save_outlines(tx, [OutlineValues(c, b"own", b"own")])
        await outlines.copy_outlines(tx, [(a, b), (a, a), (a, c)])
        assert await outlines.envelopes(tx, [b, c]) == {b: b"e", c: b"own"}
        assert await outlines.structures(tx, [b]) == {b: b"bs"}
        assert await hydration(tx, b) is Hydration.FULL

    await store.write(body)


async def test_a_copy_of_something_unread_loses_nothing(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b = await place_messages(tx, place, "a", "b")
        await outlines.save_outlines(tx, [OutlineValues(b, b"h", b"e", hydration=Hydration.FULL)])
        await outlines.copy_outlines(tx, [(a, b), (99_999, b)])
        assert await hydration(tx, b) is Hydration.FULL
        assert await outlines.envelopes(tx, [b]) == {b: b"e"}

    await store.write(body)
