"""Several messages by one command."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import aclosing

import pytest

from connectors.api.errors import CursorExpired, Denied, NotFound, Rejected, Unavailable
from connectors.api.types import MessageRef
from connectors.imap.connector import ImapConnector
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

ONE, TWO, THREE, FOUR = REFS = [MessageRef(str(number)) for number in range(1, 5)]
ASKED = b"UID FETCH 1:4 (UID BODY.PEEK[])"


def message(uid: int, data: bytes) -> bytes:
    return b"* 1 FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, len(data), data)


ALL = b"".join(message(uid, b"m%d" % uid) for uid in range(1, 5))


async def read(
    connector: ImapConnector, refs: list[MessageRef], found: dict[MessageRef, bytes] | None = None
) -> dict[MessageRef, bytes]:
    """Read the messages; into `found`, where what comes before an error is of interest."""
    found = {} if found is None else found
    async for ref, content in connector.fetch_many(INBOX, refs):
        assert ref not in found
        data = b"".join([chunk async for chunk in content.chunks()])
        assert content.size == len(data)
        found[ref] = data
    return found


async def begin(peer: Peer) -> None:
    await peer.welcome()
    await peer.select(exists=4)


async def test_all_messages_come_by_one_command_whatever_their_size_and_order() -> None:
    large = bytes(range(256)) * 1000

    async def script(peer: Peer) -> None:
        await begin(peer)
        reply = message(3, large) + b"* 5 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen))\r\n"
        reply += b'* 1 FETCH (BODY[] "one" UID 1)\r\n' + message(4, large[::-1]) + b'* 2 FETCH (UID 2 BODY[] "")\r\n'
        await peer.answer(ASKED, reply)

    async with scripted(script) as server, opened(server) as connector:
        found = await read(connector, [TWO, *REFS, MessageRef("no number")])
        assert found == {ONE: b"one", TWO: b"", THREE: large, FOUR: large[::-1]}
        assert list(found) == [THREE, ONE, FOUR, TWO]


async def test_nothing_to_fetch_needs_no_command() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()

    async with scripted(script) as server, opened(server) as connector:
        assert await read(connector, []) == await read(connector, [MessageRef("0")]) == {}


async def test_a_message_is_handed_out_before_the_next_has_come() -> None:
    has_first = asyncio.Event()

    async def script(peer: Peer) -> None:
        await begin(peer)
        tag = await peer.expect(b"UID FETCH 1:2 ")
        await peer.send(message(1, b"first"))
        await has_first.wait()
        await peer.send(message(2, b"second") + tag + b" OK done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        contents = connector.fetch_many(INBOX, [ONE, TWO])
        assert (await anext(contents))[0] == ONE
        has_first.set()
        assert [ref async for ref, _ in contents] == [TWO]


@pytest.mark.parametrize("octets", [50_000, 5_000_000])
async def test_the_server_is_held_back_while_nobody_asks_for_the_next_message(octets: int) -> None:
    count = 100_000_000 // octets
    refs = [MessageRef(str(uid)) for uid in range(1, count + 1)]
    reply = message(7, b"x" * octets)
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await begin(peer)
        tag = await peer.expect(b"UID FETCH 1:%d " % count)
        for uid in range(1, count + 1):
            await peer.send(reply.replace(b"UID 7", b"UID %d" % uid))
            sent += 1
        await peer.send(tag + b" OK done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        contents = connector.fetch_many(INBOX, refs)
        assert (await anext(contents))[0] == ONE
        tracemalloc.start()
        for _ in range(2000):
            await asyncio.sleep(0)
        assert sent < count
        got = 1
        async for _, content in contents:
            got += 1
            assert content.size == octets
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert got == sent == count
        # The larger part is what the peer of the test holds.
        assert peak < 4 * octets + (8 << 20)


async def test_what_is_not_seen_is_asked_for_anew_and_then_left_out() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(ASKED, message(1, b"m1") + b"* 3 FETCH (UID 3 BODY[] NIL)\r\n")
        await peer.answer(b"NOOP", b"* 3 EXPUNGE\r\n* 5 EXISTS\r\n")
        await peer.answer(b"UID FETCH 2:4 (UID BODY.PEEK[])", message(4, b"m4"))

    async with scripted(script) as server, opened(server) as connector:
        assert await read(connector, REFS) == {ONE: b"m1", FOUR: b"m4"}


async def test_a_no_for_what_was_expunged_meanwhile_is_asked_about_anew() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        some = message(1, b"m1") + message(2, b"m2") + message(4, b"m4")
        await peer.answer(ASKED, some, b"NO [EXPUNGEISSUED] Some of the requested messages no longer exist.")
        await peer.answer(b"NOOP", b"* 3 EXPUNGE\r\n")
        await peer.answer(b"UID FETCH 3 ")

    async with scripted(script) as server, opened(server) as connector:
        assert await read(connector, REFS) == {ONE: b"m1", TWO: b"m2", FOUR: b"m4"}


async def test_one_message_that_cannot_be_had_does_not_hide_the_others() -> None:
    broken = b'* 1 FETCH (UID 3 BODY[] "x" X-SIZE (((\r\n'

    async def first(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(ASKED, message(1, b"m1") + broken)
        await peer.gone()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 2:4 ", broken)
        await peer.gone()

    async def third(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 2 ", message(2, b"m2"))
        await peer.answer(b"NOOP")
        await peer.answer(b"UID FETCH 3:4 ", message(4, b"m4") + broken)
        await peer.gone()

    async def fourth(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 3 ", ending=b"NO cannot read it")

    found: dict[MessageRef, bytes] = {}
    async with scripted(first, second, third, fourth) as server, opened(server) as connector:
        with pytest.raises(Rejected, match="cannot read it"):
            await read(connector, REFS, found)
    assert list(found) == [ONE, TWO, FOUR]


async def test_a_server_that_refuses_every_message_is_soon_believed() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 1:100 ", ending=b"NO never")
        for uids in (b"1:100", b"1:50", b"1:25", b"1:12", b"1:6", b"1:3", b"1", b"2:3", b"2", b"3"):
            await peer.answer(b"NOOP")
            await peer.answer(b"UID FETCH %b " % uids, ending=b"NO never")

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(Rejected, match="never"):
            await read(connector, [MessageRef(str(uid)) for uid in range(1, 101)])


async def test_a_refusal_with_a_reason_is_told_as_it_is() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(ASKED, ending=b"NO [NOPERM] not yours")
        await peer.answer(ASKED, ALL)

    async with scripted(script) as server, opened(server, max_connections=1) as connector:
        with pytest.raises(Denied):
            await read(connector, REFS)
        assert len(await read(connector, REFS)) == 4


async def test_an_iterator_closed_early_gives_its_connection_up_and_its_place_back() -> None:
    async def first(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(ASKED)
        await peer.send(message(1, b"m1") + message(2, b"m2"))
        await peer.gone()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(ASKED, ALL)

    async with scripted(first, second) as server, opened(server, max_connections=1) as connector:
        async with aclosing(connector.fetch_many(INBOX, REFS)) as contents:
            assert (await anext(contents))[0] == ONE
        assert len(await read(connector, REFS)) == 4


async def test_a_read_cancelled_between_messages_leaves_nothing_behind() -> None:
    has_first = asyncio.Event()

    async def first(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(ASKED)
        await peer.send(message(1, b"m1") + b"* 2 FETCH (UID 2 BODY[] {200000}\r\n" + b"x" * 100_000)
        await peer.gone()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(ASKED, ALL)

    async def consume(connector: ImapConnector) -> None:
        async for _ in connector.fetch_many(INBOX, REFS):
            has_first.set()

    async with scripted(first, second) as server, opened(server, max_connections=1) as connector:
        task = asyncio.ensure_future(consume(connector))
        await has_first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await read(connector, REFS)) == 4


async def test_a_connection_that_died_while_it_rested_costs_nothing_but_the_rest() -> None:
    async def first(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(ASKED)
        await peer.send(message(1, b"m1") + message(2, b"m2")[:-5])
        peer.close()

    async def second(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 2:4 ", message(2, b"m2") + message(3, b"m3") + message(4, b"m4"))

    async with scripted(first, second) as server, opened(server) as connector:
        assert await read(connector, REFS) == {ref: b"m%b" % ref.encode() for ref in REFS}


async def test_a_connection_lost_again_is_unavailable_and_what_had_come_is_kept() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(b"UID FETCH ")
        await peer.send(message(1, b"m1"))
        peer.close()

    async def again(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(b"UID FETCH 2:4 ")
        peer.close()

    found: dict[MessageRef, bytes] = {}
    async with scripted(script, again) as server, opened(server) as connector:
        with pytest.raises(Unavailable):
            await read(connector, REFS, found)
    assert found == {ONE: b"m1"}


async def test_an_end_that_does_not_come_matters_not_when_all_messages_have() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.expect(ASKED)
        await peer.send(ALL)
        peer.close()

    async with scripted(script) as server, opened(server) as connector:
        assert len(await read(connector, REFS)) == 4


async def test_other_uids_under_the_same_numbers_are_not_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"STATUS INBOX ", b"* STATUS INBOX (MESSAGES 4 UIDNEXT 9 UIDVALIDITY 1 UNSEEN 0)\r\n")
        await peer.select(uidvalidity=2)

    async with scripted(script) as server, opened(server) as connector:
        await connector.position(INBOX)
        with pytest.raises(CursorExpired):
            await read(connector, REFS)


async def test_a_mailbox_that_is_not_there_is_asked_for_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"SELECT INBOX", ending=b"NO no such mailbox")
        await peer.answer(b"LIST ")

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(NotFound):
            await read(connector, REFS)
