"""A process that writes to a store until it is killed; started by `test_crash.py`.

python -m tests.gateway.store.writer_process PATH commits     one change after the other, each told when committed
python -m tests.gateway.store.writer_process PATH half        half a transaction, then waits for its end
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from gateway.store import mailboxes, messages, placements
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from tests.gateway.store.conftest import Place, add_place


async def change(tx: Transaction, place: Place, number: int) -> None:
    """Add three messages to a mailbox, mark one, move one."""
    refs = [f"{number}-{letter}" for letter in "abc"]
    ids = await messages.upsert_messages(
        tx, place.account_id, 0, [MessageValues(ref, internal_date=number, size=100) for ref in refs]
    )
    uids, _ = await placements.insert_placements(tx, place.inbox, [(ids[ref], 0, "", None, None) for ref in refs])
    await placements.set_flags(tx, place.inbox, [(uids[0], 1, "$x"), (uids[1], 8, "")])
    await placements.insert_placements(tx, place.other, [(ids[refs[2]], 0, "", None, None)])
    await placements.remove_placements(tx, place.inbox, [uids[2]])


async def commits(store: Store, place: Place) -> None:
    for number in itertools.count(1):
        await store.write(lambda tx, n=number: change(tx, place, n))  # type: ignore[misc]
        print(number, flush=True)


async def half(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await change(tx, place, 1)
        await mailboxes.reset_mailbox(tx, place.other)
        print("half", flush=True)
        sys.stdin.read()

    await store.write(body)


async def main(path: str, what: str) -> None:
    store = await Store.open(f"sqlite:///{path}")
    place = await add_place(store)
    await (commits if what == "commits" else half)(store, place)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
