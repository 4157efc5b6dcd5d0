"""Being told of changes."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import Unavailable
from connectors.api.types import MailboxRef, MessageRef, PushEvent
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

OTHER = MailboxRef("Other")
PATIENCE_S = 5.0


async def idle(peer: Peer, name: bytes = b"INBOX") -> None:
    await peer.select(name)
    await peer.expect(b"IDLE")
    await peer.send(b"+ idling\r\n")


async def begin(peer: Peer) -> None:
    await peer.welcome(b"IDLE")


async def test_the_beginning_of_a_watch_and_each_change_are_told() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await go_on.wait()
        await peer.send(b"* OK still here\r\n* 4 EXISTS\r\n")
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            go_on.set()
            assert await anext(events) == PushEvent(INBOX)
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_raised_mod_sequence_alone_is_told() -> None:
    """A message that comes and goes at once is never announced, and yet the gateway may have seen it."""
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome(b"IDLE ENABLE CONDSTORE QRESYNC")
        await peer.answer(b"ENABLE ", b"* ENABLED CONDSTORE QRESYNC\r\n")
        await peer.select(extra=b"* OK [HIGHESTMODSEQ 7] x\r\n")
        await peer.expect(b"IDLE")
        await peer.send(b"+ idling\r\n")
        await go_on.wait()
        await peer.send(b"* OK [HIGHESTMODSEQ 7] as before\r\n* OK [HIGHESTMODSEQ 9] raised\r\n")
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            go_on.set()
            assert await anext(events) == PushEvent(INBOX)
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_lost_watch_is_begun_again_and_told() -> None:
    async def first(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        peer.close()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await peer.gone()

    async with scripted(first, second) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            assert await anext(events) == PushEvent(INBOX)
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_watch_that_cannot_be_begun_again_is_unavailable() -> None:
    async def first(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        peer.close()

    async def second(peer: Peer) -> None:
        await peer.send(b"* BYE shutting down\r\n")

    async with scripted(first, second) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            with pytest.raises(Unavailable, match="shutting down"):
                await anext(events)


async def test_the_server_closing_instead_of_idling_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.select()
        await peer.expect(b"IDLE")
        peer.close()

    async with scripted(script) as server, opened(server) as connector:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(Unavailable):
                await anext(connector.watch())


async def test_mailboxes_of_interest_are_watched_as_far_as_connections_reach() -> None:
    async def first(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await peer.gone()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await idle(peer, b"Other")
        await peer.gone()

    async with scripted(first, second) as server, opened(server, max_connections=4) as connector:
        await connector.set_interest(frozenset({OTHER, MailboxRef("Zoo"), INBOX}))
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert {await anext(events), await anext(events)} == {PushEvent(INBOX), PushEvent(OTHER)}
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_mailbox_that_is_gone_is_not_watched_and_hinders_nothing() -> None:
    go_on = asyncio.Event()

    async def first(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await go_on.wait()
        await peer.send(b"* 4 EXISTS\r\n")
        await peer.gone()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"SELECT Other", ending=b"NO [NONEXISTENT] none")
        go_on.set()
        await peer.gone()

    async with scripted(first, second) as server, opened(server, max_connections=4) as connector:
        await connector.set_interest(frozenset({OTHER}))
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert [await anext(events), await anext(events)] == [PushEvent(INBOX)] * 2
        await events.aclose()  # type: ignore[attr-defined]


async def test_idle_is_renewed_and_news_at_that_moment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.imap.watch.IDLE_RENEW_S", 0.05)

    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.select()
        tag = await peer.expect(b"IDLE")
        await peer.send(b"+ idling\r\n")
        assert await peer.line() == b"DONE"
        await peer.send(b"* 4 EXISTS\r\n" + tag + b" OK done\r\n")
        await peer.expect(b"IDLE")
        # No continuation: nothing but the news at the end of the first IDLE is told now.
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            assert await anext(events) == PushEvent(INBOX)
        await events.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("capabilities", "connections"), [(b"", 8), (b"IDLE", 1)])
async def test_where_nothing_can_be_watched_the_watch_waits_for_the_end(capabilities: bytes, connections: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(capabilities)

    async with scripted(script) as server, opened(server, max_connections=connections) as connector:
        waiting = asyncio.ensure_future(anext(connector.watch(), None))
        await asyncio.sleep(0)
        assert not waiting.done()
        await connector.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await waiting is None


async def test_closing_ends_the_watch() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            await connector.close()
            assert await anext(events, None) is None


async def test_a_mailbox_that_became_another_is_selected_anew_for_its_watch() -> None:
    async def old(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await peer.gone()

    async def asking(peer: Peer) -> None:
        await begin(peer)
        for uidvalidity in (1, 2):
            await peer.answer(b"STATUS", b"* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %d)\r\n" % uidvalidity)
        await peer.select(uidvalidity=2)
        await peer.expect(b"IDLE")
        await peer.send(b"+ idling\r\n")
        await peer.gone()

    async with scripted(old, asking) as server, opened(server) as connector:
        events = connector.watch()
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(events) == PushEvent(INBOX)
            await connector.position(INBOX)
            await connector.position(INBOX)
            assert await anext(events) == PushEvent(INBOX)
        await events.aclose()  # type: ignore[attr-defined]


async def test_who_waits_for_news_makes_room_where_the_server_takes_few_connections() -> None:
    async def inbox(peer: Peer) -> None:
        await begin(peer)
        await idle(peer)
        await peer.gone()

    async def other(peer: Peer) -> None:
        await begin(peer)
        await idle(peer, b"Other")
        await peer.gone()

    async def refused(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        await peer.answer(b"LOGIN ", ending=b"NO Maximum number of connections exceeded")
        await peer.gone()

    async def work(peer: Peer) -> None:
        await begin(peer)
        await peer.select(b"Third")
        await peer.answer(b"UID FETCH 1 ", b"* 1 FETCH (UID 1 FLAGS ())\r\n")
        await peer.gone()

    third = MailboxRef("Third")
    async with scripted(inbox, other, refused, work) as server, opened(server, max_connections=4) as connector:
        await connector.set_interest(frozenset({OTHER}))
        events = connector.watch()
        told: set[MailboxRef | None] = set()
        both = asyncio.Event()

        async def follow() -> None:
            async for event in events:
                told.add(event.mailbox)
                if told == {INBOX, OTHER}:
                    both.set()

        following = asyncio.create_task(follow())
        async with asyncio.timeout(PATIENCE_S):
            await both.wait()
            assert connector.is_watching(OTHER)
            assert [state.ref for state in await connector.states(third, [MessageRef("1")])] == ["1"]
            assert connector.is_watching(INBOX)
            assert not connector.is_watching(OTHER)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
