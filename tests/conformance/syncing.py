"""What every connector must do to be followed: positions, changes and push."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator

import pytest

from connectors.api.errors import CursorExpired
from connectors.api.types import FLAGGED, SEEN, MessageRef, PushEvent
from tests.conformance.base import Suite, require, require_push
from tests.conformance.rig import INBOX, Ability, Probe, Rig, chosen, mail, message_id

PATIENCE_S = 0.5
ATTEMPTS = 40


class SyncingSuite(Suite):
    """Nothing is lost between a position, a listing and the changes after it."""

    async def test_nothing_changed_is_no_news(self, rig: Rig, inbox: Probe) -> None:
        await rig.deliver(INBOX, mail(1))
        replica = inbox.replica()
        await replica.begin()
        await replica.catch_up()
        before = dict(replica.flags)
        assert all(not page.removed for page in await replica.catch_up())
        assert replica.flags == before
        await replica.check()

    async def test_changes_in_an_empty_mailbox_are_none(self, inbox: Probe) -> None:
        replica = inbox.replica()
        await replica.begin()
        await replica.catch_up()
        assert replica.flags == {}

    async def test_deliveries_flags_and_removals_arrive(self, rig: Rig, inbox: Probe) -> None:
        for number in range(4):
            await rig.deliver(INBOX, mail(number))
        replica = inbox.replica()
        await replica.begin()
        assert len(replica.flags) == 4
        await rig.deliver(INBOX, mail(4))
        await rig.set_flags(INBOX, message_id(0), frozenset({SEEN, FLAGGED}))
        await rig.remove(INBOX, message_id(1))
        await replica.catch_up()
        assert len(replica.flags) == 4
        assert sorted(map(len, replica.flags.values())) == [0, 0, 0, 2]
        await replica.check()

    async def test_flags_taken_off_outside_arrive(self, rig: Rig, inbox: Probe) -> None:
        state = await inbox.append(mail(1), frozenset({SEEN, FLAGGED}))
        replica = inbox.replica()
        await replica.begin()
        await rig.set_flags(INBOX, message_id(1), frozenset({FLAGGED}))
        await replica.catch_up()
        assert replica.flags == {state.ref: frozenset({FLAGGED})}

    async def test_a_change_between_position_and_listing_is_not_lost(self, rig: Rig, inbox: Probe) -> None:
        for number in range(3):
            await rig.deliver(INBOX, mail(number))
        replica = inbox.replica()
        replica.cursor = await inbox.position()
        await rig.remove(INBOX, message_id(0))
        await rig.deliver(INBOX, mail(3))
        for state in await inbox.listing():
            replica.apply(state)
        await replica.catch_up()
        await replica.check()
        assert len(replica.flags) == 3

    async def test_a_change_after_the_listing_began_is_not_lost(self, rig: Rig, inbox: Probe) -> None:
        for number in range(3):
            await rig.deliver(INBOX, mail(number))
        replica = inbox.replica()
        replica.cursor = await inbox.position()
        async for page in inbox.connector.listing(inbox.ref):
            for state in page:
                replica.apply(state)
            if not any(flags for flags in replica.flags.values()):
                await rig.set_flags(INBOX, message_id(1), frozenset({SEEN}))
        await rig.deliver(INBOX, mail(3))
        await rig.remove(INBOX, message_id(2))
        await replica.catch_up()
        await replica.check()
        assert len(replica.flags) == 3

    async def test_the_same_changes_twice_alter_nothing(self, rig: Rig, inbox: Probe) -> None:
        await rig.deliver(INBOX, mail(1))
        await rig.deliver(INBOX, mail(2))
        replica = inbox.replica()
        await replica.begin()
        cursor = replica.cursor
        await rig.set_flags(INBOX, message_id(1), frozenset({SEEN}))
        await rig.remove(INBOX, message_id(2))
        await rig.deliver(INBOX, mail(3))
        await replica.catch_up()
        once = dict(replica.flags)
        replica.cursor = cursor
        await replica.catch_up()
        assert replica.flags == once
        await replica.check()

    async def test_a_cursor_outlives_the_connection(self, rig: Rig, inbox: Probe) -> None:
        await rig.deliver(INBOX, mail(1))
        replica = inbox.replica()
        await replica.begin()
        await inbox.connector.close()
        await rig.deliver(INBOX, mail(2))
        await rig.remove(INBOX, message_id(1))
        await inbox.connector.open()
        await replica.catch_up()
        await replica.check()
        assert len(replica.flags) == 1

    async def test_a_cursor_outlives_the_process(self, rig: Rig, inbox: Probe) -> None:
        await rig.deliver(INBOX, mail(1))
        replica = inbox.replica()
        await replica.begin()
        await rig.remove(INBOX, message_id(1))
        await rig.deliver(INBOX, mail(2))
        fresh = rig.connector()
        await fresh.open()
        replica.probe = Probe(fresh, inbox.ref)
        await replica.catch_up()
        await replica.check()
        assert len(replica.flags) == 1
        await fresh.close()

    async def test_own_writes_are_among_the_changes(self, inbox: Probe) -> None:
        replica = inbox.replica()
        await replica.begin()
        state = await inbox.append(mail(1))
        await inbox.connector.store_flags(inbox.ref, [state.ref], frozenset({SEEN}), frozenset())
        await replica.catch_up()
        assert replica.flags == {state.ref: frozenset({SEEN})}

    async def test_a_move_is_a_removal_here_and_an_arrival_there(self, inbox: Probe, other: Probe) -> None:
        states = [await inbox.append(mail(number), frozenset({SEEN})) for number in range(3)]
        here, there = inbox.replica(), other.replica()
        await here.begin()
        await there.begin()
        await inbox.connector.move(inbox.ref, [states[1].ref], other.ref)
        await here.catch_up()
        await there.catch_up()
        assert (len(here.flags), len(there.flags)) == (2, 1)
        await here.check()
        await there.check()

    @pytest.mark.parametrize("seed", range(3))
    async def test_a_replica_follows_any_history(self, rig: Rig, inbox: Probe, other: Probe, seed: int) -> None:
        chance = random.Random(seed)
        here, there = inbox.replica(), other.replica()
        numbers = iter(range(1000))
        await here.begin()
        await there.begin()
        for _ in range(12):
            for _ in range(chance.randrange(4)):
                await self._happen(rig, inbox, other, chance, numbers)
            await here.catch_up()
            await there.catch_up()
            await here.check()
            await there.check()

    @staticmethod
    async def _happen(rig: Rig, inbox: Probe, other: Probe, chance: random.Random, numbers: Iterator[int]) -> None:
        """Let one thing happen, from outside or by the connector."""
        connector = inbox.connector
        refs = await inbox.refs()
        if len(refs) < 3 or chance.random() < 0.3:
            if chance.random() < 0.5:
                await rig.deliver(INBOX, mail(next(numbers)))
            else:
                await inbox.append(mail(next(numbers)), frozenset({SEEN}))
            return
        ref = chance.choice(refs)
        match chance.randrange(6):
            case 0:
                await rig.set_flags(INBOX, await id_of(inbox, ref), frozenset({FLAGGED}))
            case 1:
                await rig.remove(INBOX, await id_of(inbox, ref))
            case 2:
                await connector.store_flags(inbox.ref, [ref], frozenset({SEEN}), frozenset({FLAGGED}))
            case 3:
                await connector.expunge(inbox.ref, [ref])
            case 4:
                await connector.copy(inbox.ref, [ref], other.ref)
            case _:
                await connector.move(inbox.ref, [ref], other.ref)

    async def test_changes_tell_the_whole_membership(self, rig: Rig, inbox: Probe, other: Probe) -> None:
        if not inbox.connector.capabilities.many_mailboxes:
            pytest.skip("lacks the capability: many_mailboxes")
        await rig.deliver(INBOX, mail(1))
        replica = inbox.replica()
        await replica.begin()
        (ref,) = replica.flags
        await inbox.connector.copy(inbox.ref, [ref], other.ref)
        (page,) = await replica.catch_up()
        (state,) = page.changed
        assert await chosen(inbox.connector, state.mailboxes) == frozenset({inbox.ref, other.ref})
        await inbox.connector.expunge(inbox.ref, [ref])
        await replica.catch_up()
        assert replica.flags == {}
        assert await other.refs() == [ref]

    async def test_an_expired_cursor_is_told(self, rig: Rig, inbox: Probe) -> None:
        require(rig, Ability.EXPIRING_CURSORS)
        await rig.deliver(INBOX, mail(1))
        replica = inbox.replica()
        await replica.begin()
        await rig.expire_cursors(INBOX)
        with pytest.raises(CursorExpired):
            await replica.catch_up()
        again = inbox.replica()
        await again.begin()
        await again.catch_up()
        await again.check()

    async def test_watch_tells_of_a_change_from_outside(self, rig: Rig, inbox: Probe) -> None:
        push = require_push(inbox.connector)
        require(rig, Ability.PUSH)
        await push.set_interest(frozenset({inbox.ref}))
        events = push.watch()
        numbers = iter(range(ATTEMPTS))

        async def next_event() -> PushEvent:
            async for event in events:
                if event.mailbox in (None, inbox.ref):
                    return event
            raise AssertionError("the watch ended")

        # When a watch has begun cannot be seen, and its first event may be spurious: so changes are made until one is
        # told, and then again.
        for _ in range(2):
            waiting = asyncio.ensure_future(next_event())
            while not waiting.done():
                await rig.deliver(INBOX, mail(next(numbers)))
                await asyncio.wait({waiting}, timeout=PATIENCE_S)
            assert waiting.result().mailbox in (None, inbox.ref)
        await events.aclose()  # type: ignore[attr-defined]

    async def test_interest_may_change_at_any_time(self, inbox: Probe) -> None:
        push = require_push(inbox.connector)
        await push.set_interest(frozenset())
        await push.set_interest(frozenset({inbox.ref}))
        await push.set_interest(frozenset())
        assert await inbox.listing() == []


async def id_of(probe: Probe, ref: MessageRef) -> str:
    """Return the Message-ID of a message."""
    found = re.search(rb"Message-ID: (\S+)", await probe.read(ref))
    assert found is not None
    return found[1].decode()
