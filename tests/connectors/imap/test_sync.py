"""Following a mailbox, at servers that know more and less."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.api.errors import CursorExpired, NotFound, Unavailable
from connectors.api.types import BytesContent, ChangePage, Cursor, MessageRef, MessageState
from connectors.imap.connector import ImapConnector
from connectors.imap.cursor import Position
from connectors.imap.names import INBOX
from tests.conformance.rig import mail
from tests.connectors.imap.rig import DovecotRig
from tests.connectors.imap.scripted import Peer, opened, scripted
from tests.servers.dovecot import Dovecot

STATUS = b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN"
QRESYNC = b"ENABLE CONDSTORE QRESYNC"


def status(messages: int, uidnext: int, modseq: int | None = None, uidvalidity: int = 1, unseen: int = 0) -> bytes:
    modseq_item = b"" if modseq is None else b" HIGHESTMODSEQ %d" % modseq
    return b"* STATUS INBOX (MESSAGES %d UIDNEXT %d UIDVALIDITY %d UNSEEN %d%b)\r\n" % (
        messages,
        uidnext,
        uidvalidity,
        unseen,
        modseq_item,
    )


async def pages(connector: ImapConnector, position: Position) -> list[ChangePage]:
    return [page async for page in connector.changes(INBOX, position.encode())]


async def welcome_qresync(peer: Peer) -> None:
    await peer.welcome(QRESYNC)
    await peer.answer(b"ENABLE CONDSTORE QRESYNC", b"* ENABLED CONDSTORE QRESYNC\r\n")


async def test_an_unchanged_mailbox_costs_one_status() -> None:
    async def script(peer: Peer) -> None:
        await welcome_qresync(peer)
        await peer.answer(STATUS, status(3, 10, 50))

    async with scripted(script) as server, opened(server) as connector:
        assert await pages(connector, Position(1, 10, 3, 50)) == []


async def test_with_qresync_one_fetch_tells_all() -> None:
    async def script(peer: Peer) -> None:
        await welcome_qresync(peer)
        await peer.answer(STATUS, status(3, 12, 60))
        await peer.select()
        await peer.answer(
            b"UID FETCH 1:11 (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 50 VANISHED)",
            b"* VANISHED (EARLIER) 4:5,300:4000000000\r\n"
            b'* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700" '
            b"RFC822.SIZE 5 MODSEQ (55))\r\n"
            b"* VANISHED 7\r\n"
            b"* 3 FETCH (UID 12 FLAGS ())\r\n",
        )

    async with scripted(script) as server, opened(server) as connector:
        changed, last = await pages(connector, Position(1, 11, 5, 50))
        (state,) = changed.changed
        assert (state.uid, state.flags, state.size) == (3, frozenset({"\\Seen"}), 5)
        # What lies above the position's UIDNEXT is the next look's business.
        assert last.removed == ("4", "5", "7")
        assert last.cursor == Position(1, 12, 3, 60, 0).encode()
        assert last.present is None


async def test_more_vanished_than_can_be_named_makes_a_full_comparison() -> None:
    async def script(peer: Peer) -> None:
        await welcome_qresync(peer)
        await peer.answer(STATUS, status(2, 4_000_000_000, 60))
        await peer.select()
        await peer.answer(b"UID FETCH", b"* VANISHED (EARLIER) 1:3999999997\r\n")
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH 3999999998 3999999999\r\n")

    async with scripted(script) as server, opened(server) as connector:
        (page,) = await pages(connector, Position(1, 4_000_000_000, 5, 50))
        assert page.present == frozenset(map(MessageRef, ("3999999998", "3999999999")))
        assert page.removed == ()


@pytest.mark.parametrize(("messages", "is_compared"), [(4, False), (3, True)])
async def test_with_condstore_uids_are_compared_only_if_the_count_tells_of_a_loss(
    messages: int, is_compared: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE ESEARCH")
        await peer.answer(STATUS + b" HIGHESTMODSEQ)", status(messages, 12, 60))
        await peer.select()
        await peer.answer(
            b"UID FETCH 1:11 (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 50)", b"* 3 FETCH (UID 11 FLAGS ())\r\n"
        )
        if is_compared:
            await peer.answer(b"UID SEARCH RETURN (ALL) ALL", b'* ESEARCH (TAG "x") UID ALL 1:2,11\r\n')

    async with scripted(script) as server, opened(server) as connector:
        last = (await pages(connector, Position(1, 11, 3, 50)))[-1]
        assert last.present == (frozenset({"1", "2", "11"}) if is_compared else None)


@pytest.mark.parametrize(
    "now",
    [
        status(3, 10, 50, uidvalidity=2),
        status(3, 9, 50),
        status(3, 10, 49),
    ],
)
async def test_counters_that_went_backwards_expire_the_cursor(now: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE")
        await peer.answer(STATUS, now)

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(CursorExpired):
            await pages(connector, Position(1, 10, 3, 50))


async def test_a_foreign_cursor_has_expired() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(CursorExpired):
            await anext(connector.changes(INBOX, Cursor("someone else's")))


async def test_without_modseqs_flags_of_a_large_quiet_mailbox_are_read_only_now_and_then() -> None:
    uids = b" ".join(b"%d" % uid for uid in range(1, 601))

    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE")
        # HIGHESTMODSEQ 0 is a mailbox without (RFC 7162 section 3.1.2.2).
        await peer.answer(STATUS, status(600, 601, 0))
        await peer.select(exists=600)
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH " + uids + b"\r\n")
        await peer.answer(b"UID FETCH 1:600 (UID FLAGS)", b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n")
        await peer.select(exists=600)
        await peer.answer(STATUS, status(600, 601, 0))
        await peer.select(exists=600)
        await peer.answer(STATUS, status(600, 601, 0, unseen=1))
        await peer.answer(b"NOOP")
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH " + uids + b"\r\n")
        await peer.answer(b"UID FETCH 1:600 (UID FLAGS)")

    async with scripted(script) as server, opened(server) as connector:
        position = Position(1, 601, 600, None, 0)
        changed, last = await pages(connector, position)
        assert [state.flags for state in changed.changed] == [frozenset({"\\Seen"})]
        assert last.present is not None
        assert len(last.present) == 600
        assert await pages(connector, position) == []
        assert len(await pages(connector, position)) == 1


async def test_a_listing_goes_on_by_uid_whatever_is_expunged_meanwhile() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(exists=7500)
        await peer.answer(
            b"UID SEARCH ALL", b"* SEARCH " + b" ".join(b"%d" % (uid * 3) for uid in range(1, 7501)) + b"\r\n"
        )
        await peer.answer(
            b"UID FETCH 3:15000 ",
            b"* 2 FETCH (UID 6 FLAGS (x))\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 3 FLAGS ())\r\n"
            b"* 9 FETCH (UID 16000 FLAGS ())\r\n",
        )
        await peer.answer(b"UID FETCH 15003:22500 ", b"* 9 FETCH (UID 22500 FLAGS ())\r\n")

    async with scripted(script) as server, opened(server) as connector:
        found = [[state.uid for state in page] async for page in connector.listing(INBOX)]
        assert found == [[3, 6], [22500]]


async def test_uidvalidity_that_changes_on_reconnecting_stops_whoever_uses_the_old_uids() -> None:
    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(STATUS, status(3, 10))
        await peer.select(uidvalidity=1)
        await peer.answer(b"UID FETCH 5 ")
        peer.close()

    async def after(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await peer.select(uidvalidity=2)
        assert await peer.line() in (b"", b"G3 LOGOUT")

    async with scripted(before, after) as server, opened(server) as connector:
        await connector.position(INBOX)
        assert await connector.states(INBOX, [MessageRef("5")]) == []
        with pytest.raises(CursorExpired):
            await connector.expunge(INBOX, [MessageRef("5")])


async def test_uids_of_another_uidvalidity_than_the_position_has_are_not_listed() -> None:
    """As where several servers share an address, or the mailbox is made anew between STATUS and SELECT."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(STATUS, status(3, 10, uidvalidity=1))
        await peer.select(exists=1, uidvalidity=2)
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH 1\r\n")

    async with scripted(script) as server, opened(server) as connector:
        assert Position.decode(await connector.position(INBOX)).uidvalidity == 1
        with pytest.raises(Unavailable, match="UIDVALIDITY"):
            [page async for page in connector.listing(INBOX)]


async def test_uids_are_good_again_when_the_server_is_back_at_their_uidvalidity() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CONDSTORE")
        await peer.select(exists=1, uidvalidity=2)
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH 1\r\n")
        await peer.answer(b"UID FETCH 1:1 ", b"* 1 FETCH (UID 1 FLAGS ())\r\n")
        # Not `select`: a connection renews its view of a mailbox before it asks for the mailbox's counters.
        await peer.select(exists=3, uidvalidity=1)
        await peer.answer(STATUS, status(3, 10, 50, uidvalidity=1))
        await peer.answer(b"NOOP")
        await peer.answer(b"UID FETCH 5 ", b"* 2 FETCH (UID 5 FLAGS ())\r\n")

    async with scripted(script) as server, opened(server) as connector:
        assert len([page async for page in connector.listing(INBOX)]) == 1
        assert await pages(connector, Position(1, 10, 3, 50)) == []
        (state,) = await connector.states(INBOX, [MessageRef("5")])
        assert state.uid == 5


async def test_a_mailbox_made_anew_is_listed_as_it_is_now_where_the_old_one_is_still_selected() -> None:
    """To a connection that has it selected Dovecot 2.3 shows the mailbox that was deleted, and STATUS of that too."""

    async def counting(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(STATUS, status(1, 2, uidvalidity=2))

    async def reading(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(exists=2, uidvalidity=1)
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH 1 2\r\n")
        await peer.answer(b"UID FETCH 1:2 ", b"* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS ())\r\n")
        await peer.select(exists=1, uidvalidity=2)
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH 1\r\n")
        await peer.answer(b"UID FETCH 1:1 ", b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n")

    async with scripted(counting, reading) as server, opened(server) as connector:
        pool = connector._session.pool
        async with pool.connection(None):
            (page,) = [page async for page in connector.listing(INBOX)]
            assert len(page) == 2
        async with pool.connection(INBOX, is_fresh=False):
            assert Position.decode(await connector.position(INBOX)).uidvalidity == 2
        (page,) = [page async for page in connector.listing(INBOX)]
        assert [(state.uid, state.flags) for state in page] == [(1, frozenset({"\\Seen"}))]


async def test_a_refused_status_is_not_found_only_if_list_says_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(STATUS, ending=b"NO sorry")
        await peer.answer(b'LIST "" INBOX')
        await peer.answer(STATUS, ending=b"NO sorry")
        await peer.answer(b'LIST "" INBOX', b'* LIST () "/" INBOX\r\n')

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(NotFound):
            await connector.position(INBOX)
        with pytest.raises(Exception, match="sorry"):
            await connector.position(INBOX)


async def test_a_hanging_server_is_given_up_and_the_next_call_begins_anew() -> None:
    async def hang(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(STATUS)
        await peer.gone()

    async def serve(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(STATUS, status(3, 10))

    async with scripted(hang, serve, serve) as server, opened(server, timeout_s=0.2) as connector:
        # The first connection had rested, so the read is tried once more on a new one.
        assert await connector.position(INBOX) == Position(1, 10, 3, None, 0).encode()
        await connector.close()
        await connector.open()
        await connector.position(INBOX)


async def test_a_closed_connector_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()

    async with scripted(script) as server, opened(server) as connector:
        await connector.close()
        with pytest.raises(Unavailable):
            await connector.position(INBOX)


# -- at a real server --------------------------------------------------------------------------------------------------


async def test_thousands_of_messages_are_listed_in_pages_and_followed(dovecot: Dovecot) -> None:
    rig = DovecotRig(dovecot)
    with rig.client() as client:
        for number in range(25):
            client.append("INBOX", "", "", mail(number))
        client.select()
        # Copies of copies: 25 * 2^8 messages.
        for _ in range(8):
            client.copy("1:*", "INBOX")
    connector: Any = rig.connector()
    await connector.open()
    cursor = await connector.position(INBOX)
    listed: list[list[MessageState]] = [page async for page in connector.listing(INBOX)]
    assert [len(page) for page in listed] == [5000, 1400]
    uids = [state.uid for page in listed for state in page if state.uid is not None]
    assert uids == sorted(set(uids))
    with rig.client() as client:
        client.select()
        client.store("1:6400", "+FLAGS.SILENT", "(\\Seen)")
        client.store("1:100", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()
    found = [page async for page in connector.changes(INBOX, cursor)]
    assert sum(len(page.changed) for page in found) == 6300
    assert len(found[-1].removed) == 100
    assert [page async for page in connector.changes(INBOX, found[-1].cursor)] == []
    await connector.close()


async def test_concurrent_work_stays_within_the_cap(dovecot: Dovecot) -> None:
    rig = DovecotRig(dovecot)
    connector: Any = rig.connector(max_connections=2)
    await connector.open()
    states = await asyncio.gather(
        *(connector.append(INBOX, BytesContent(mail(number)), frozenset(), None) for number in range(8))
    )
    contents = await asyncio.gather(*(connector.fetch(INBOX, state.ref) for state in states))
    assert [content.size for content in contents] == [len(mail(number)) for number in range(8)]
    await connector.close()
