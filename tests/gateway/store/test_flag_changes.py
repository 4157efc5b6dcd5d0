"""Flags of many messages, by kinds of change, leave the same rows and counters as one by one."""

from __future__ import annotations

import random

import pytest

from gateway.store import invariants, mailboxes, placements
from gateway.store.database import Store, Transaction
from gateway.store.flag_changes import FlagChange, change_flags
from gateway.store.flags import DELETED, SEEN, FlagSet
from tests.gateway.store.conftest import Place
from tests.gateway.store.test_placements import fill, mailbox


@pytest.mark.parametrize("seed", range(6))
async def test_rows_and_counters_are_as_after_changes_one_by_one(store: Store, place: Place, seed: int) -> None:
    chance = random.Random(seed)
    sets = [FlagSet(), FlagSet(SEEN), FlagSet(SEEN | DELETED, "a"), FlagSet(0, "a b")]

    async def body(tx: Transaction) -> None:
        uids = await fill(tx, place, 60)
        await placements.remove_placements(tx, place.inbox, chance.sample(uids, 5))
        states = {row[0]: chance.choice(sets) for row in await placements.load(tx, place.inbox)}
        at = await placements.set_flags(tx, place.inbox, [(uid, s.bits, s.keywords) for uid, s in states.items()])
        changes: list[FlagChange] = []
        for old in sets:
            have = [uid for uid, state in states.items() if state == old]
            kept = have if chance.random() < 0.5 else have[::2]
            changes.append(FlagChange(old, chance.choice([s for s in sets if s != old]), kept))
        now = await change_flags(tx, place.inbox, at, changes)
        changed = {uid: change.new for change in changes for uid in change.uids}
        assert now == at + bool(changed)
        for row in await placements.load(tx, place.inbox):
            assert FlagSet(row[2], row[3]) == changed.get(row[0], states[row[0]])
            assert (row[4] == now) is (row[0] in changed)
        assert (await mailbox(tx, place.inbox)).highestmodseq == now

    await store.write(body)
    assert await store.read(invariants.check) == []


async def test_nothing_to_change_raises_nothing(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        before = await mailboxes.mailbox_by_id(tx, place.inbox)
        assert before is not None
        change = FlagChange(FlagSet(), FlagSet(SEEN), [])
        assert await change_flags(tx, place.inbox, before.highestmodseq, [change]) == before.highestmodseq
        assert await mailboxes.mailbox_by_id(tx, place.inbox) == before

    await store.write(body)


async def test_few_messages_far_apart_are_named_one_by_one(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        await fill(tx, place, 50)
        row = await mailbox(tx, place.inbox)
        now = await change_flags(
            tx, place.inbox, row.highestmodseq, [FlagChange(FlagSet(), FlagSet(DELETED, "k"), [1, 50])]
        )
        rows = await placements.load(tx, place.inbox)
        assert [placed[0] for placed in rows if placed[4] == now] == [1, 50]
        assert (await mailbox(tx, place.inbox)).deleted == 2

    await store.write(body)
