"""Texts of messages that follow one another, in one statement."""

from __future__ import annotations

from gateway.store import outlines
from gateway.store.database import Store, Transaction
from gateway.store.outline_runs import Outline, outline_run
from gateway.store.outlines import OutlineValues
from tests.gateway.store.conftest import Place
from tests.gateway.store.test_outlines import place_messages


async def test_a_run_is_in_the_order_of_uids_and_leaves_out_what_is_unknown(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await place_messages(tx, place, "zero")
        # The later a message became known, the lower its id need not be.
        a, b, c, d = await place_messages(tx, place, "d", "c", "b", "a")
        await outlines.save_outlines(
            tx,
            [
                OutlineValues(d, b"D: 1\r\n\r\n", b"(env d)"),
                OutlineValues(a, b"A: 1\r\n\r\n", b"(env a)", b"(bs a)"),
                OutlineValues(c, b"C: 1\r\n\r\n", b"(env c)", b"(bs c)", header_is_exact=False),
            ],
        )
        assert await outline_run(tx, Outline.ENVELOPE, place.inbox, 2, 5) == [
            (a, b"(env a)"),
            (c, b"(env c)"),
            (d, b"(env d)"),
        ]
        assert await outline_run(tx, Outline.STRUCTURE, place.inbox, 1, 9) == [(a, b"(bs a)"), (c, b"(bs c)")]
        assert await outline_run(tx, Outline.HEADER, place.inbox, 2, 4) == [(a, b"A: 1\r\n\r\n")]
        assert await outline_run(tx, Outline.HEADER, place.other, 1, 9) == []
        assert b not in [key for key, _ in await outline_run(tx, Outline.HEADER, place.inbox, 1, 9)]

    await store.write(body)
