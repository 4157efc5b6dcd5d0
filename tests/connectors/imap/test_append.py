"""Storing messages."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.api.abilities import NewMessage
from connectors.api.errors import (
    BinaryContent,
    ConnectorError,
    Denied,
    NotFound,
    OutcomeUnknown,
    OverQuota,
    TooLarge,
    Unavailable,
    Unsupported,
)
from connectors.api.types import SEEN, BytesContent
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

MESSAGE = b"Subject: x\r\nMessage-ID:\r\n <a@b>\r\n\r\nbody\r\n"
DATE = datetime(2020, 2, 3, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=2)))
NONE: frozenset[str] = frozenset()
SECTION = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"


def look(uid: int, size: int, message_id: bytes) -> bytes:
    header = b"Message-ID: " + message_id + b"\r\n\r\n"
    return b"* 1 FETCH (UID %d RFC822.SIZE %d %b {%d}\r\n%b)\r\n" % (uid, size, SECTION, len(header), header)


async def take(peer: Peer, ending: bytes = b"OK done") -> None:
    """Take the message as a synchronising literal."""
    tag = await peer.expect(b"APPEND INBOX ")
    await peer.send(b"+ go on\r\n")
    assert await peer.exactly(len(MESSAGE) + 2) == MESSAGE + b"\r\n"
    await peer.send(tag + b" " + ending + b"\r\n")


async def test_flags_and_date_go_along_and_appenduid_is_the_ref() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS LITERAL+")
        tag = await peer.expect(b'APPEND INBOX (\\Seen x) " 3-Feb-2020 04:05:06 +0200" {%d+}' % len(MESSAGE))
        assert await peer.exactly(len(MESSAGE) + 2) == MESSAGE + b"\r\n"
        await peer.send(tag + b" OK [APPENDUID 1 77] done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        state = await connector.append(INBOX, BytesContent(MESSAGE), frozenset({SEEN, "x"}), DATE)
        assert (state.ref, state.uid, state.size) == ("77", 77, len(MESSAGE))
        assert state.internal_date == DATE.replace(microsecond=0)
        assert state.flags == frozenset({SEEN, "x"})


async def test_without_a_date_the_message_is_dated_now() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await take(peer, b"OK [APPENDUID 1 77] done")

    before = datetime.now(UTC).replace(microsecond=0)
    async with scripted(script) as server, opened(server) as connector:
        state = await connector.append(INBOX, BytesContent(MESSAGE), NONE, None)
        assert state.internal_date is not None
        assert before <= state.internal_date <= datetime.now(UTC)


async def test_without_uidplus_the_message_is_found_by_its_message_id_and_size() -> None:
    size = len(MESSAGE)

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"STATUS INBOX", b"* STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 1)\r\n")
        await take(peer)
        await peer.select()
        await peer.answer(b"UID SEARCH UID 10:*", b"* SEARCH 10 11 12\r\n")
        await peer.answer(
            b"UID FETCH 10:12 ", look(10, size, b"<a@b>") + look(11, size, b"<other@b>") + look(12, size + 1, b"<a@b>")
        )

    async with scripted(script) as server, opened(server) as connector:
        assert (await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)).uid == 10


async def test_a_stored_message_that_is_not_found_has_an_unknown_outcome() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await take(peer)
        await peer.select()
        await peer.answer(b"STATUS INBOX", b"* STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 1)\r\n")
        await peer.answer(b"UID SEARCH UID 1:*", b"* SEARCH 9\r\n")
        await peer.answer(b"UID FETCH 9 ", look(9, 5, b"<a@b>"))

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)


STATUS = b"* STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 1)\r\n"


async def test_a_uid_of_another_uidvalidity_is_not_believed() -> None:
    """DavMail has had the two numbers of APPENDUID the wrong way round."""

    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await peer.answer(b"STATUS INBOX", STATUS)
        await take(peer, b"OK [APPENDUID 10 1] done")
        await peer.select()
        await peer.answer(b"STATUS INBOX", STATUS.replace(b"UIDNEXT 10", b"UIDNEXT 11"))
        await peer.answer(b"UID SEARCH UID 1:*", b"* SEARCH 1 10\r\n")
        await peer.answer(b"UID FETCH 1,10 ", look(1, 5, b"<a@b>") + look(10, len(MESSAGE), b"<a@b>"))

    async with scripted(script) as server, opened(server) as connector:
        await connector.position(INBOX)
        assert (await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)).uid == 10


async def test_a_message_in_a_mailbox_that_was_made_anew_has_no_uid_that_the_gateway_knows() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await peer.answer(b"STATUS INBOX", STATUS)
        await take(peer, b"OK [APPENDUID 2 1] done")
        await peer.select(uidvalidity=2)

    async with scripted(script) as server, opened(server) as connector:
        await connector.position(INBOX)
        with pytest.raises(OutcomeUnknown):
            await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)


async def test_messages_in_a_mailbox_that_was_made_anew_have_no_uids_that_the_gateway_knows() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS LITERAL+ MULTIAPPEND")
        await peer.answer(b"STATUS INBOX", STATUS)
        tag = await peer.expect(b"APPEND INBOX ")
        assert await peer.exactly(len(MESSAGE))
        assert await peer.line()
        assert await peer.exactly(len(MESSAGE) + 2)
        await peer.send(tag + b" OK [APPENDUID 2 1:2] done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        await connector.position(INBOX)
        new = NewMessage(BytesContent(MESSAGE), NONE, DATE)
        with pytest.raises(OutcomeUnknown):
            await connector.append_many(INBOX, [new, new])


async def test_a_message_above_the_servers_limit_is_not_sent() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS APPENDLIMIT=10")

    async with scripted(script) as server, opened(server) as connector:
        assert connector.capabilities.append_limit == 10
        with pytest.raises(TooLarge):
            await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (b"NO [OVERQUOTA] full", OverQuota),
        (b"NO [TOOBIG] too big", TooLarge),
        (b"NO [TRYCREATE] none", NotFound),
        (b"NO [NOPERM] no", Denied),
    ],
)
async def test_a_refusal_before_the_message_is_told_by_its_reason(ending: bytes, kind: type[ConnectorError]) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await peer.answer(b"APPEND INBOX ", ending=ending)
        await peer.answer(b"APPEND INBOX ", ending=ending)

    async with scripted(script) as server, opened(server) as connector:
        for _ in range(2):
            with pytest.raises(kind):
                await connector.append(INBOX, BytesContent(MESSAGE), NONE, DATE)


async def test_a_message_with_octets_that_are_0_is_not_sent() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS BINARY")

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(BinaryContent):
            await connector.append(INBOX, BytesContent(MESSAGE + b"\0"), NONE, DATE)


@pytest.mark.parametrize("data", [MESSAGE, MESSAGE * 10_000], ids=["small", "large"])
async def test_the_last_octet_waits_for_leave(data: bytes) -> None:
    leave: Future[None] = Future()

    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS LITERAL+")
        tag = await peer.expect(b"APPEND INBOX ")
        if len(data) > len(MESSAGE):
            # Large ones are never sent unasked.
            await peer.send(b"+ go on\r\n")
        assert await peer.exactly(len(data) - 1) == data[:-1]
        leave.set_result(None)
        assert await peer.exactly(3) == data[-1:] + b"\r\n"
        await peer.send(tag + b" OK [APPENDUID 1 77] done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        message = NewMessage(BytesContent(data), NONE, None)
        (state,) = await connector.append_by_leave(INBOX, [message], leave)
        assert state.uid == 77


async def test_a_command_that_is_not_ended_was_not_given() -> None:
    """Neither is its outcome unknown, nor is its connection of any more use."""
    leave: Future[None] = Future()

    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS LITERAL+")
        await peer.expect(b"APPEND INBOX ")
        assert await peer.exactly(len(MESSAGE) - 1) == MESSAGE[:-1]
        leave.set_exception(Unavailable("refused"))
        assert await peer.line() == b""

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(Unavailable, match="refused"):
            await connector.append_by_leave(INBOX, [NewMessage(BytesContent(MESSAGE), NONE, None)], leave)


async def test_several_messages_are_one_command() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS MULTIAPPEND")
        tag = await peer.expect(b'APPEND INBOX (\\Seen) " 3-Feb-2020 04:05:06 +0200" {%d}' % len(MESSAGE))
        await peer.send(b"+ go on\r\n")
        assert await peer.exactly(len(MESSAGE)) == MESSAGE
        assert (await peer.line()).endswith(b" {5}")
        await peer.send(b"+ go on\r\n")
        assert await peer.exactly(7) == b"A: b\n\r\n"
        await peer.send(tag + b" OK [APPENDUID 1 77:78] done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        given = [
            NewMessage(BytesContent(MESSAGE), frozenset({SEEN}), DATE),
            NewMessage(BytesContent(b"A: b\n"), NONE, None),
        ]
        first, second = await connector.append_many(INBOX, given)
        assert [(one.uid, one.flags, one.size) for one in (first, second)] == [
            (77, frozenset({SEEN}), len(MESSAGE)),
            (78, NONE, 5),
        ]
        assert first.internal_date == DATE.replace(microsecond=0)


@pytest.mark.parametrize("told", [b"", b"[APPENDUID 1 77] ", b"[APPENDUID 1 77:79] "])
async def test_of_several_messages_all_uids_have_to_be_told(told: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS MULTIAPPEND LITERAL+")
        tag = await peer.expect(b"APPEND INBOX ")
        assert await peer.exactly(5) == b"A: b\n"
        await peer.line()
        assert await peer.exactly(7) == b"C: d\n\r\n"
        await peer.send(tag + b" OK " + told + b"done\r\n")

    async with scripted(script) as server, opened(server) as connector:
        given = [NewMessage(BytesContent(data), NONE, None) for data in (b"A: b\n", b"C: d\n")]
        with pytest.raises(OutcomeUnknown):
            await connector.append_many(INBOX, given)


@pytest.mark.parametrize("capabilities", [b"UIDPLUS", b"MULTIAPPEND"])
async def test_a_server_that_takes_messages_one_by_one_is_not_asked(capabilities: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(capabilities)

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(Unsupported):
            await connector.append_many(INBOX, [NewMessage(BytesContent(MESSAGE), NONE, None)] * 2)
