"""Outlines and whole messages."""

from __future__ import annotations

import tracemalloc

import pytest

from connectors.api.errors import NotFound, Unavailable
from connectors.api.types import MessageRef
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

REF = MessageRef("5")
STRUCTURE = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 4 1)'


def outline(uid: int, header: bytes, structure: bytes = STRUCTURE) -> bytes:
    return b'* 1 FETCH (UID %d RFC822.SIZE 9 BODYSTRUCTURE %b INTERNALDATE "bad" BODY[HEADER] {%d}\r\n%b)\r\n' % (
        uid,
        structure,
        len(header),
        header,
    )


async def test_a_large_message_passes_without_being_held_in_memory() -> None:
    block = bytes(range(256)) * 1024
    count = 200

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        tag = await peer.expect(b"UID FETCH 5 (UID BODY.PEEK[])")
        await peer.send(b"* 1 FETCH (UID 5 BODY[] {%d}\r\n" % (len(block) * count))
        for _ in range(count):
            await peer.send(block)
        await peer.send(b")\r\n" + tag + b" OK done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        tracemalloc.start()
        content = await connector.fetch(INBOX, REF)
        size = 0
        async for chunk in content.chunks():
            assert block.startswith(chunk[:256])
            size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size == content.size == len(block) * count
        assert peak < 8 << 20


@pytest.mark.parametrize("body", [b"{0}\r\n", b'""', b"{3}\r\na\r\n", b'"abc"'])
async def test_small_messages_come_however_they_are_quoted(body: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 5 ", b"* 1 FETCH (BODY[] %b UID 5)\r\n" % body)

    async with scripted(script) as server, opened(server) as connector:
        content = await connector.fetch(INBOX, REF)
        assert b"".join([chunk async for chunk in content.chunks()]) in (b"", b"a\r\n", b"abc")


async def test_a_message_not_seen_is_looked_for_anew_before_it_is_called_gone() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 5 ")
        await peer.answer(b"NOOP", b"* 4 EXISTS\r\n")
        await peer.answer(b"UID FETCH 5 ", b'* 4 FETCH (UID 5 BODY[] "x")\r\n')
        await peer.answer(b"UID FETCH 6 ", b"* 4 FETCH (UID 6 BODY[] NIL)\r\n")
        await peer.answer(b"NOOP", b"* 4 EXPUNGE\r\n")
        await peer.answer(b"UID FETCH 6 ")

    async with scripted(script) as server, opened(server) as connector:
        assert (await connector.fetch(INBOX, REF)).size == 1
        with pytest.raises(NotFound):
            await connector.fetch(INBOX, MessageRef("6"))


async def test_the_size_is_that_of_the_octets_sent_whatever_the_server_says() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 5 ", b'* 4 FETCH (UID 5 RFC822.SIZE 999 BODY[] "abc")\r\n')

    async with scripted(script) as server, opened(server) as connector:
        assert (await connector.fetch(INBOX, REF)).size == 3


async def test_the_end_of_the_stream_in_a_message_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.expect(b"UID FETCH 5 ")
        await peer.send(b"* 1 FETCH (UID 5 BODY[] {200000}\r\n" + b"x" * 100000)
        peer.close()

    async def again(peer: Peer) -> None:
        await script(peer)

    async with scripted(script, again) as server, opened(server) as connector:
        with pytest.raises(Unavailable, match="in the middle"):
            await connector.fetch(INBOX, REF)


async def test_outlines_give_structure_only_where_it_is_correct() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(
            b"UID FETCH 5:6 (UID INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY.PEEK[HEADER])",
            outline(6, b"Subject: :( {5}\r\n\r\n", STRUCTURE.replace(b'"7BIT"', b"NIL")) + outline(5, b"A: b\r\n\r\n"),
        )

    async with scripted(script) as server, opened(server) as connector:
        found = {o.ref: o async for o in connector.outlines(INBOX, [MessageRef("6"), REF])}
        assert found[REF].body_structure == STRUCTURE
        assert found[REF].internal_date is None
        assert found[MessageRef("6")].body_structure is None
        assert found[MessageRef("6")].header == b"Subject: :( {5}\r\n\r\n"


async def test_one_message_the_server_cannot_describe_does_not_hide_the_others() -> None:
    # The structure of message 6 has an unescaped quote, so that the whole reply cannot be read.
    broken = b'* 1 FETCH (UID 6 BODYSTRUCTURE ("TEXT" "PL"AIN" NIL))\r\n'

    async def begin(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()

    async def first(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 5:6 ", outline(5, b"A: b\r\n\r\n") + broken)
        await peer.gone()

    async def second(peer: Peer) -> None:
        # Read once more, as the connection had rested.
        await first(peer)

    async def third(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 5 ", outline(5, b"A: b\r\n\r\n"))
        await peer.answer(b"UID FETCH 6 ", broken)
        await peer.gone()

    async def fourth(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(b"UID FETCH 6 ", broken)
        await peer.gone()

    async def fifth(peer: Peer) -> None:
        await begin(peer)
        await peer.answer(
            b"UID FETCH 6 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])",
            b'* 1 FETCH (UID 6 BODY[HEADER] "x")\r\n',
        )

    async with scripted(first, second, third, fourth, fifth) as server, opened(server) as connector:
        found = {o.ref: o.header async for o in connector.outlines(INBOX, [REF, MessageRef("6")])}
        assert found == {REF: b"A: b\r\n\r\n", MessageRef("6"): b"x"}
