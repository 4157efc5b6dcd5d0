"""The counters of many mailboxes at once."""

from __future__ import annotations

from gateway.store import mailboxes, messages, placements
from gateway.store.counters import Counters, counters_of, counts_from
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from tests.gateway.store.conftest import Place


async def put(tx: Transaction, place: Place, mailbox_id: int, count: int) -> None:
    values = [MessageValues(f"{mailbox_id}/{number}", size=5) for number in range(count)]
    ids = await messages.upsert_messages(tx, place.account_id, mailbox_id, values)
    await placements.insert_placements(tx, mailbox_id, [(one, 0, "", None, None) for one in ids.values()])


async def test_they_are_those_of_the_rows_and_a_mailbox_that_is_gone_has_none(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await put(tx, place, place.inbox, 3)
        await mailboxes.set_mailbox_cursor(tx, place.inbox, "c")
        found = await counters_of(tx, [place.other, 10**6, place.inbox])
        assert found.keys() == {place.inbox, place.other}
        for mailbox_id, counters in found.items():
            row = await mailboxes.mailbox_by_id(tx, mailbox_id)
            assert counters == Counters(*(getattr(row, name) for name in Counters._fields))
        assert found[place.inbox].messages == found[place.inbox].unseen == 3
        assert await counters_of(tx, []) == {}

    await store.write(body)


async def test_messages_are_counted_from_a_uid_of_each_mailbox(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await put(tx, place, place.inbox, 5)
        await put(tx, place, place.other, 2)
        assert await counts_from(tx, {place.inbox: 4, place.other: 1}) == {place.inbox: 2, place.other: 2}
        assert await counts_from(tx, {place.inbox: 6, 10**6: 1}) == {}
        assert await counts_from(tx, {}) == {}
        uids = [row[0] for row in await placements.load(tx, place.inbox)]
        for first in range(1, 7):
            counted = (await counts_from(tx, {place.inbox: first})).get(place.inbox, 0)
            assert counted == sum(uid >= first for uid in uids)

    await store.write(body)
