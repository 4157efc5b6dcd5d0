"""One connection: what it makes of replies, of silence, and of an end at the wrong moment."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import NotFound, OutcomeUnknown, Rejected, Unavailable
from connectors.api.types import BytesContent
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost, MalformedReply
from connectors.imap.exchange import LiteralSink
from connectors.imap.login import connect
from connectors.imap.names import INBOX
from connectors.imap.spool import SpooledContent
from gateway.wire.command_writer import Message
from gateway.wire.responses import FetchData, LiteralStart, SearchData
from tests.connectors.imap.scripted import CREDENTIALS, Peer, Server, scripted, settings_for

HELLO = [BytesContent(b"hello")]


async def connected(server: Server, **values: float) -> Connection:
    return await connect(settings_for(server, **values), CREDENTIALS)


async def test_news_in_the_middle_of_a_fetch_reaches_the_mailbox() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE ENABLE QRESYNC")
        await peer.answer(b"ENABLE CONDSTORE QRESYNC", b"* ENABLED CONDSTORE QRESYNC\r\n")
        await peer.select(exists=5)
        await peer.answer(
            b"UID FETCH 1:* (FLAGS)",
            b"* 1 FETCH (UID 1 FLAGS ())\r\n* 2 EXPUNGE\r\n* VANISHED 7:8\r\n* 9 EXISTS\r\n* VANISHED 20\r\n"
            b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n",
        )

    async with scripted(script) as server:
        connection = await connected(server)
        selected = await connection.select(INBOX)
        assert selected.exists == 5
        reply = await connection.run(b"UID FETCH", b"1:*", b"(FLAGS)")
        assert [fetched.uid for fetched in reply.fetches()] == [1, 2]
        assert connection.mailbox is not None
        assert connection.mailbox.exists == 8
        connection.abort()


async def test_the_end_of_the_stream_inside_a_literal_fails_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"UID FETCH")
        await peer.send(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nonly the beginning")
        peer.close()

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(ConnectionLost, match="in the middle of a response"):
            await connection.run(b"UID FETCH", b"1", b"(BODY[])")
        assert not connection.is_usable


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", ConnectionLost),
        (b"* BYE Autologout\r\n", ConnectionLost),
        (b"* 1 FETCH (UID (((\r\n", MalformedReply),
        (b"Z9 OK somebody else's\r\n", MalformedReply),
        (b"+ what?\r\n", MalformedReply),
    ],
)
async def test_what_ends_a_connection_fails_the_command_and_what_comes_after(
    sent: bytes, error: type[ConnectionLost]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"NOOP")
        await peer.send(sent)
        peer.close()

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(error):
            await connection.run(b"NOOP")
        with pytest.raises(ConnectionLost):
            await connection.run(b"NOOP")


@pytest.mark.parametrize(
    "reply",
    [
        b"* 1 FETCH (UID 1 BODY[] {17}\r\nSubject: secret\r\n\r\nhunter2 is the word\r\n)\r\n",
        b"* 1 FETCH (UID 1 BODY[] {17}\r\nSubject: secret\r\n)\r\n* hunter2 is the word\r\n* (hunter2)\r\n",
        b'* 1 FETCH (UID 1 BODY[HEADER] "Subject: hunter2" BODYSTRUCTURE ("text" "plain" ("name" "hunter2"\r\n',
    ],
)
async def test_of_a_broken_reply_no_text_of_a_message_is_told(reply: bytes) -> None:
    """Some servers announce another length of a literal than they send."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"UID FETCH")
        await peer.send(reply)
        await peer.gone()

    async with scripted(script) as server:
        connection = await connect(settings_for(server, timeout_s=0.5), CREDENTIALS)
        with pytest.raises(ConnectionLost) as caught:
            await connection.run(b"UID FETCH", b"1", b"(UID BODY.PEEK[])")
        assert isinstance(caught.value, MalformedReply)
        assert "hunter2" not in str(caught.value)


async def test_of_a_broken_reply_that_is_of_no_message_the_line_is_told() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b'LIST "" "*"', b'* LIST NIL "/" x\r\n')
        await peer.gone()

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        with pytest.raises(MalformedReply, match=r"LIST NIL"):
            await connection.run(b"LIST", b'""', b'"*"')


async def test_silence_is_given_up_and_a_late_reply_never_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"NOOP")
        # A reply sent now would find nobody: the client has closed.
        await peer.gone()

    async with scripted(script) as server:
        connection = await connected(server, timeout_s=0.2)
        with pytest.raises(Unavailable, match="nothing came"):
            await connection.run(b"NOOP")
        assert not connection.is_usable
        with pytest.raises(ConnectionLost):
            await connection.run(b"NOOP")


async def test_a_slow_reply_that_keeps_coming_is_not_silence() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        tag = await peer.expect(b"UID SEARCH")
        for octet in b"* SEARCH 1 2 3\r\n" + tag + b" OK done\r\n":
            await peer.send(bytes([octet]))
            await asyncio.sleep(0)

    async with scripted(script) as server:
        connection = await connected(server)
        reply = await connection.run(b"UID SEARCH", b"ALL")
        assert reply.responses == [SearchData((1, 2, 3))]
        connection.abort()


async def test_a_cancelled_command_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"NOOP")
        await peer.gone()

    async with scripted(script) as server:
        connection = await connected(server)
        task = asyncio.create_task(connection.run(b"NOOP"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.is_usable


async def test_no_before_the_literal_leaves_the_connection_usable() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"APPEND INBOX () {5}", ending=b"NO [NONEXISTENT] none such")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(NotFound):
            await connection.run(b"APPEND", b"INBOX", b"()", Message(5), contents=HELLO, is_write=True)
        await connection.run(b"NOOP")
        connection.abort()


async def test_a_connection_lost_after_the_literal_leaves_the_outcome_unknown() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"APPEND INBOX () {5}")
        await peer.send(b"+ go on\r\n")
        assert await peer.exactly(7) == b"hello\r\n"
        peer.cut()

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(OutcomeUnknown):
            await connection.run(b"APPEND", b"INBOX", b"()", Message(5), contents=HELLO, is_write=True)


async def test_a_connection_lost_before_the_literal_means_nothing_was_done() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"APPEND INBOX () {5}")
        peer.cut()

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(ConnectionLost):
            await connection.run(b"APPEND", b"INBOX", b"()", Message(5), contents=HELLO, is_write=True)


async def test_content_shorter_than_it_claims_is_never_stored() -> None:
    received = b""

    async def script(peer: Peer) -> None:
        nonlocal received
        await peer.welcome()
        await peer.expect(b"APPEND INBOX () {50}")
        await peer.send(b"+ go on\r\n")
        while data := await peer.line():
            received += data

    async with scripted(script) as server:
        connection = await connected(server)
        with pytest.raises(Rejected, match="50 octets"):
            await connection.run(b"APPEND", b"INBOX", b"()", Message(50), contents=HELLO, is_write=True)
        assert not connection.is_usable
    assert len(received) < 50


async def test_large_literals_without_a_sink_are_put_back_in_their_place() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(
            b"UID FETCH",
            b"* 1 FETCH (UID 1 BODY[HEADER] {70000}\r\n%b BODY[TEXT] {3}\r\nabc BODY[1] {70001}\r\n%b)\r\n"
            % (b"h" * 70000, b"t" * 70001),
        )

    async with scripted(script) as server:
        connection = await connected(server)
        reply = await connection.run(b"UID FETCH", b"1", b"(BODY[HEADER])")
        (fetched,) = reply.responses
        assert isinstance(fetched, FetchData)
        assert fetched.sections == {
            b"BODY[HEADER]": b"h" * 70000,
            b"BODY[TEXT]": b"abc",
            b"BODY[1]": b"t" * 70001,
        }
        connection.abort()


async def test_what_belonged_to_the_mailbox_before_does_not_stick_to_the_next() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE ENABLE QRESYNC")
        await peer.answer(b"ENABLE", b"* ENABLED QRESYNC\r\n")
        await peer.select(exists=5)
        await peer.answer(
            b"SELECT Other",
            b"* 77 EXISTS\r\n* OK [CLOSED] x\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n",
            b"OK [READ-ONLY] selected",
        )

    async with scripted(script) as server:
        connection = await connected(server)
        await connection.select(INBOX)
        await connection.select(type(INBOX)("Other"))
        selected = connection.mailbox
        assert selected is not None
        assert (selected.ref, selected.exists, selected.uidvalidity, selected.is_read_only) == ("Other", 2, 9, True)
        connection.abort()


async def test_a_refused_select_leaves_no_mailbox() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"SELECT Nope", ending=b"NO [NONEXISTENT] none")

    async with scripted(script) as server:
        connection = await connected(server)
        await connection.select(INBOX)
        with pytest.raises(NotFound):
            await connection.select(type(INBOX)("Nope"))
        assert connection.mailbox is None
        connection.abort()


async def test_close_logs_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"LOGOUT", b"* BYE see you\r\n")
        await peer.gone()

    async with scripted(script) as server:
        connection = await connected(server)
        await connection.close()
        assert not connection.is_usable


def nowhere(_start: LiteralStart) -> LiteralSink:
    return SpooledContent()


async def test_a_streamed_reply_comes_piece_by_piece_and_leaves_the_connection_usable() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"UID FETCH 1:2 (UID)", b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connected(server)
        responses = connection.stream(b"UID FETCH", b"1:2", b"(UID)", on_literal=nowhere)
        assert [response async for response in responses] == [FetchData(1, uid=1), FetchData(2, uid=2)]
        await connection.run(b"NOOP")
        connection.abort()


async def test_a_streamed_reply_that_ends_in_no_raises_after_what_came() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"UID FETCH 1:2 (UID)", b"* 1 FETCH (UID 1)\r\n", b"NO [NONEXISTENT] gone")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connected(server)
        responses = connection.stream(b"UID FETCH", b"1:2", b"(UID)", on_literal=nowhere)
        assert await anext(responses) == FetchData(1, uid=1)
        with pytest.raises(NotFound):
            await anext(responses)
        await connection.run(b"NOOP")
        connection.abort()


async def test_a_streamed_reply_left_early_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"UID FETCH 1:2 (UID)", b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n")
        await peer.gone()

    async with scripted(script) as server:
        connection = await connected(server)
        responses = connection.stream(b"UID FETCH", b"1:2", b"(UID)", on_literal=nowhere)
        assert await anext(responses) == FetchData(1, uid=1)
        await responses.aclose()
        assert not connection.is_usable
