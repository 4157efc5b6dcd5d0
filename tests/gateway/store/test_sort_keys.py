from __future__ import annotations

from gateway.message.sort_keys import sort_keys
from gateway.store import messages, placements
from gateway.store import sort_keys as store_keys
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from gateway.wire.sort import SortField
from tests.gateway.store.conftest import Place


def header(subject: str, date: str = "1 Jan 2020 00:00:00 +0000") -> bytes:
    return f"Subject: {subject}\r\nDate: {date}\r\nMessage-ID: <{subject}@x>\r\n\r\n".encode()


async def test_ranks_are_those_of_a_mailbox_and_equals_share_one(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        names = ["b", "a", "b", "c"]
        values = [MessageValues(f"m{n}", internal_date=5 - n) for n in range(len(names))]
        ids = await messages.upsert_messages(tx, place.account_id, 0, values)
        await placements.insert_placements(tx, place.inbox, [(ids[f"m{n}"], 0, "", None, None) for n in range(4)])
        assert await store_keys.missing(tx, place.inbox, 0, 2) == [(1, ids["m0"]), (2, ids["m1"])]
        known = [(ids[f"m{n}"], sort_keys(header(name))) for n, name in enumerate(names[:3])]
        await store_keys.save_existing(tx, [*known, (ids["m3"] + 100, known[0][1])])
        assert await store_keys.missing(tx, place.inbox, 0, 10) == [(4, ids["m3"])]
        ranks = [rank for _, rank in await store_keys.ranks(tx, place.inbox, SortField.SUBJECT)]
        # What is not known comes first, as empty.
        assert ranks == [3, 2, 3, 1]
        sorted_by = await store_keys.values(tx, [ids["m0"], ids["m3"], ids["m3"] + 100])
        assert [(key, row[SortField.SUBJECT], row[SortField.DATE]) for key, row in sorted(sorted_by.items())] == [
            (ids["m0"], "B", 1_577_836_800),
            (ids["m3"], "", 2),
        ]
        dates = [rank for _, rank in await store_keys.ranks(tx, place.inbox, SortField.DATE)]
        # The one without a date of its own is sorted by when it was received.
        assert dates == [2, 2, 2, 1]
        rows = await store_keys.thread_rows(tx, place.inbox)
        assert [(row[0], row[2], row[4]) for row in rows] == [
            (1, "b", "b@x"),
            (2, "a", "a@x"),
            (3, "b", "b@x"),
            (4, "", ""),
        ]
        await store_keys.copy(tx, [(ids["m1"], ids["m3"]), (ids["m1"], ids["m0"])])
        assert [row[2] for row in await store_keys.thread_rows(tx, place.inbox)] == ["b", "a", "b", "a"]

    await store.write(body)


async def test_letters_come_before_the_brackets_and_underscores_between_great_and_small_ones(
    store: Store, place: Place
) -> None:
    async def body(tx: Transaction) -> None:
        names = ["john_a", "johnson", "[x]", "Zoe", "1st"]
        expected = ["1st", "johnson", "john_a", "Zoe", "[x]"]
        values = [MessageValues(f"m{n}") for n in range(len(names))]
        ids = await messages.upsert_messages(tx, place.account_id, 0, values)
        rows = [(ids[f"m{n}"], 0, "", None, None) for n in range(len(names))]
        await placements.insert_placements(tx, place.inbox, rows)
        blocks = [
            f"Subject: {name}\r\nFrom: {name}@x\r\nTo: {name}@x\r\nCc: {name}@x\r\n\r\n".encode() for name in names
        ]
        await store_keys.save(tx, [(ids[f"m{n}"], sort_keys(block)) for n, block in enumerate(blocks)])
        for field in (SortField.SUBJECT, SortField.DISPLAYFROM):
            ranks = [rank for _, rank in await store_keys.ranks(tx, place.inbox, field)]
            # RFC 5051 section 2: texts are compared with great letters.
            assert sorted(names, key=lambda name: ranks[names.index(name)]) == expected
            kept = await store_keys.values(tx, list(ids.values()))
            assert sorted(names, key=lambda name: str(kept[ids[f"m{names.index(name)}"]][field])) == expected

    await store.write(body)
