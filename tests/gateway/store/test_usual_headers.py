"""The fields that mail is listed by, beside the whole header."""

from __future__ import annotations

from sqlalchemy import func, select

from gateway.store import messages, outlines, placements
from gateway.store.database import Store, Transaction
from gateway.store.outline_runs import Outline, outline_run
from gateway.store.outlines import OutlineValues
from gateway.store.tables import usual_headers
from tests.gateway.store.conftest import Place
from tests.gateway.store.test_outlines import place_messages

SUBJECT = b"Subject: one\r\n\r\n"
LONG = b"Received: " + b"x" * 100 + b"\r\n" + SUBJECT
OTHER = b"Received: " + b"y" * 100 + b"\r\nSubject: two\r\n\r\n"


async def usual(tx: Transaction, place: Place) -> list[tuple[int, bytes]]:
    return await outline_run(tx, Outline.USUAL_HEADER, place.inbox, 1, 99)


async def kept(tx: Transaction) -> int:
    return int(await tx.scalar(select(func.count()).select_from(usual_headers)))


async def test_they_are_kept_where_that_spares_much_and_else_are_the_whole_header(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c = await place_messages(tx, place, "a", "b", "c")
        await outlines.save_outlines(tx, [OutlineValues(b, LONG, b"(env)"), OutlineValues(a, SUBJECT, b"(env)")])
        assert await usual(tx, place) == [(a, SUBJECT), (b, SUBJECT)]
        assert await kept(tx) == 1
        # What only has the right values is no header to be shown.
        await outlines.save_outlines(tx, [OutlineValues(c, LONG, b"(env)", header_is_exact=False)])
        assert [key for key, _ in await usual(tx, place)] == [a, b]

    await store.write(body)


async def test_they_are_those_of_the_header_that_was_stored_last(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        (a,) = await place_messages(tx, place, "a")
        for header, shown in ((LONG, SUBJECT), (OTHER, b"Subject: two\r\n\r\n"), (SUBJECT, SUBJECT), (LONG, SUBJECT)):
            await outlines.save_outlines(tx, [OutlineValues(a, header, b"(env)")])
            assert await usual(tx, place) == [(a, shown)]

    await store.write(body)


async def test_they_are_copied_with_the_header_and_go_with_the_message(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        a, b, c = await place_messages(tx, place, "a", "b", "c")
        await outlines.save_outlines(tx, [OutlineValues(a, LONG, b"(env)")])
        await outlines.copy_outlines(tx, [(a, b)])
        assert await usual(tx, place) == [(a, SUBJECT), (b, SUBJECT)]
        assert await kept(tx) == 2
        await outlines.copy_envelopes(tx, [(a, c)])
        assert await kept(tx) == 2
        await placements.remove_placements(tx, place.inbox, [1])
        assert await messages.delete_messages(tx, [a]) == 1
        assert await usual(tx, place) == [(b, SUBJECT)]
        assert await kept(tx) == 1

    await store.write(body)
