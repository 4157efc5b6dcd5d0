from __future__ import annotations

from gateway.store import flags, messages, placements
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from gateway.store.totals import deleted_octets
from tests.gateway.store.conftest import Place


async def test_octets_of_deleted_messages_are_summed_by_mailbox(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        assert await deleted_octets(tx, [place.inbox]) == {}
        sizes = [10, 200, None, 4000]
        values = [MessageValues(f"m{number}", size=size) for number, size in enumerate(sizes)]
        ids = await messages.upsert_messages(tx, place.account_id, 0, values)
        bits = [flags.DELETED, flags.SEEN, flags.DELETED, flags.DELETED | flags.SEEN]
        placed = [(ids[f"m{number}"], bit, "", None, None) for number, bit in enumerate(bits)]
        await placements.insert_placements(tx, place.inbox, placed)
        assert await deleted_octets(tx, [place.inbox, place.inbox + 1000]) == {place.inbox: 4010}

    await store.write(body)
