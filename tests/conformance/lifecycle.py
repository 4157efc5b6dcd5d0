"""What every connector must do when it is opened, closed, interrupted and pressed."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.capabilities import Scope
from connectors.api.connector import Connector
from connectors.api.errors import ConnectorError
from connectors.api.types import FLAGGED, SEEN
from tests.conformance.base import Suite
from tests.conformance.rig import INBOX, Probe, Rig, find_mailbox, mail, message_id


class LifecycleSuite(Suite):
    """Open, close, cancellation, concurrency."""

    async def test_close_may_come_before_open_and_twice(self, rig: Rig) -> None:
        connector = rig.connector()
        await connector.close()
        await connector.open()
        await connector.close()
        await connector.close()

    async def test_a_closed_connector_can_be_opened_again(self, rig: Rig, inbox: Probe) -> None:
        state = await inbox.append(mail(1), frozenset({SEEN}))
        await inbox.connector.close()
        await inbox.connector.open()
        assert await inbox.refs() == [state.ref]
        await inbox.assert_is(state.ref, mail(1))

    async def test_a_closed_connector_raises_only_the_errors_of_the_contract(self, inbox: Probe) -> None:
        await inbox.connector.close()
        with pytest.raises(ConnectorError):
            await inbox.listing()

    async def test_refs_are_the_same_for_every_connector(self, rig: Rig, inbox: Probe) -> None:
        for number in range(3):
            await rig.deliver(INBOX, mail(number))
        second = rig.connector()
        await second.open()
        assert (await find_mailbox(second, INBOX)).ref == inbox.ref
        assert await Probe(second, inbox.ref).refs() == await inbox.refs()
        await second.close()

    async def test_two_connectors_see_each_others_writes(self, rig: Rig, inbox: Probe) -> None:
        fresh = rig.connector()
        await fresh.open()
        second = Probe(fresh, inbox.ref)
        state = await inbox.append(mail(1))
        await fresh.store_flags(second.ref, [state.ref], frozenset({SEEN}), frozenset())
        assert await inbox.flags(state.ref) == frozenset({SEEN})
        await inbox.connector.expunge(inbox.ref, [state.ref])
        assert await second.refs() == []
        await fresh.close()

    async def test_capabilities_agree_with_each_other(self, connector: Connector) -> None:
        capabilities = connector.capabilities
        assert capabilities.batch_limit >= 1
        assert capabilities.outline_limit >= 1
        assert capabilities.poll_interval_s > 0
        assert capabilities.append_limit is None or capabilities.append_limit > 0
        if capabilities.many_mailboxes:
            assert capabilities.ref_scope is Scope.ACCOUNT
        assert not (capabilities.bodies_vary and capabilities.has_uids)

    async def test_a_cancelled_fetch_leaves_the_connector_usable(self, inbox: Probe) -> None:
        big = await inbox.append(mail(1, b"x" * 76 + b"\r\n" * 20_000))
        small = await inbox.append(mail(2))
        for turns in range(12):
            task = asyncio.ensure_future(inbox.read(big.ref))
            await let_run(turns)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await inbox.assert_is(small.ref, mail(2))

    async def test_content_given_up_half_way_leaves_the_connector_usable(self, inbox: Probe) -> None:
        big = await inbox.append(mail(1, (b"x" * 76 + b"\r\n") * 40_000))
        chunks = (await inbox.connector.fetch(inbox.ref, big.ref)).chunks()
        assert await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        await inbox.assert_is(big.ref, mail(1, (b"x" * 76 + b"\r\n") * 40_000))

    async def test_a_listing_given_up_half_way_leaves_the_connector_usable(self, rig: Rig, inbox: Probe) -> None:
        for number in range(3):
            await rig.deliver(INBOX, mail(number))
        pages = inbox.connector.listing(inbox.ref)
        await anext(pages)
        await pages.aclose()  # type: ignore[attr-defined]
        assert len(await inbox.refs()) == 3

    async def test_cancelled_writes_leave_the_connector_usable(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        for turns in range(12):
            task = asyncio.ensure_future(
                inbox.connector.store_flags(inbox.ref, [state.ref], frozenset({FLAGGED}), frozenset({SEEN}))
            )
            await let_run(turns)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await inbox.connector.store_flags(inbox.ref, [state.ref], frozenset({SEEN}), frozenset({FLAGGED}))
        assert await inbox.flags(state.ref) == frozenset({SEEN})

    async def test_reads_and_writes_at_once_lose_nothing(self, rig: Rig, inbox: Probe) -> None:
        states = [await inbox.append(mail(number)) for number in range(10)]
        even, odd = states[::2], states[1::2]
        await asyncio.gather(
            inbox.connector.store_flags(inbox.ref, [s.ref for s in even], frozenset({SEEN}), frozenset()),
            inbox.connector.expunge(inbox.ref, [s.ref for s in odd]),
            inbox.listing(),
            inbox.append(mail(10)),
            rig.deliver(INBOX, mail(11)),
            inbox.listing(),
        )
        refs = await inbox.refs()
        assert len(refs) == 7
        assert {s.ref for s in even} < set(refs)
        flags = [await inbox.flags(ref) for ref in refs]
        assert sorted(map(len, flags)) == [0, 0, 1, 1, 1, 1, 1]
        await rig.remove(INBOX, message_id(11))
        assert len(await inbox.refs()) == 6


async def let_run(turns: int) -> None:
    """Give the other tasks that many turns."""
    for _ in range(turns):
        await asyncio.sleep(0)
