"""Which connection is used for what."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import AuthExpired, ConnectorError, RateLimited, Unavailable
from connectors.api.types import MailboxRef
from connectors.imap import pool as pool_module
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost
from connectors.imap.names import INBOX
from connectors.imap.pool import Pool
from tests.connectors.imap.scripted import CREDENTIALS, Peer, Script, Server, scripted, settings_for

OTHER = MailboxRef("Other")


def pool_for(server: Server, **values: int) -> Pool:
    return Pool(settings_for(server, **values), CREDENTIALS, lambda _selected: None)


async def noop(connection: Connection) -> Connection:
    return connection


async def test_a_selected_mailbox_is_selected_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"NOOP")
        await peer.select(b"Other")

    async with scripted(script) as server:
        pool = pool_for(server)
        await pool.open()
        await pool.read(INBOX, noop)
        await pool.read(INBOX, noop)
        await pool.read(INBOX, noop, is_fresh=True)
        await pool.read(OTHER, noop)
        await pool.close()


async def test_of_two_resting_connections_the_one_with_the_mailbox_is_taken() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"NOOP")

    async def second(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(b"Other")
        await peer.answer(b"NOOP")

    async with scripted(first, second) as server:
        pool = pool_for(server)
        await pool.open()
        async with pool.connection(INBOX) as one, pool.connection(OTHER) as two:
            assert one is not two
        async with pool.connection(INBOX) as again:
            assert again is one
        async with pool.connection(OTHER) as again:
            assert again is two
        await pool.close()


async def test_beyond_the_cap_one_waits_and_is_served_in_turn() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    order: list[int] = []
    async with scripted(script) as server:
        pool = pool_for(server, max_connections=1)
        await pool.open()

        async def use(number: int) -> None:
            async with pool.connection(None, is_fresh=False):
                order.append(number)
                await asyncio.sleep(0)

        async with pool.connection(None, is_fresh=False):
            tasks = [asyncio.create_task(use(number)) for number in range(5)]
            await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*tasks)
        await pool.close()
    assert order == [0, 1, 2, 3, 4]


async def test_a_connection_that_rested_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    monkeypatch.setattr(pool_module, "REST_LIMIT_S", -1.0)
    async with scripted(script, script) as server:
        pool = pool_for(server)
        await pool.open()
        await pool.read(None, noop)
        await pool.close()


async def test_a_failed_operation_gives_its_connection_back_if_it_is_sound() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"SELECT Nope", ending=b"NO [NONEXISTENT] none")
        await peer.select()

    async with scripted(script) as server:
        pool = pool_for(server, max_connections=1)
        await pool.open()
        with pytest.raises(ConnectorError):
            await pool.read(MailboxRef("Nope"), noop)
        await pool.read(INBOX, noop)
        await pool.close()


async def test_a_failed_login_leaves_room_for_the_next() -> None:
    async def fine(peer: Peer) -> None:
        await peer.welcome()
        peer.cut()

    async def refuse(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1] x\r\n")
        await peer.answer(b"LOGIN", ending=b"NO wrong")

    async def again(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()

    scripts: tuple[Script, ...] = (fine, refuse, again)
    async with scripted(*scripts) as server:
        pool = pool_for(server, max_connections=1)
        await pool.open()
        with pytest.raises(AuthExpired):
            await pool.read(INBOX, noop)
        await pool.read(INBOX, noop)
        await pool.close()


async def test_a_connection_lost_at_its_greeting_is_reported_as_that() -> None:
    async def greets(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    async def breaks(peer: Peer) -> None:
        peer.cut()

    async with scripted(greets, breaks) as server:
        pool = pool_for(server)
        await pool.open()
        async with pool.connection(None):
            with pytest.raises(ConnectionLost):
                await pool.read(None, noop)
        await pool.close()


async def test_closing_fails_whoever_uses_a_connection_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.expect(b"NOOP")
        await peer.gone()

    async with scripted(script) as server:
        pool = pool_for(server)
        await pool.open()

        async def hang(connection: Connection) -> None:
            await connection.run(b"NOOP")

        task = asyncio.create_task(pool.read(None, hang))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(Unavailable):
            await task
        with pytest.raises(Unavailable):
            await pool.read(None, noop)


async def test_a_mailbox_about_to_go_is_selected_nowhere() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"LOGOUT", b"* BYE x\r\n")

    async with scripted(script) as server:
        pool = pool_for(server)
        await pool.open()
        await pool.read(INBOX, noop)
        await pool.evict(lambda ref: ref == INBOX)
        await pool.close()


async def test_a_mailbox_whose_uids_are_not_the_believed_ones_is_selected_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(uidvalidity=1)
        await peer.select(uidvalidity=2)
        await peer.answer(b"NOOP")

    believed = 1
    async with scripted(script) as server:
        pool = Pool(settings_for(server), CREDENTIALS, lambda _selected: None, lambda s: s.uidvalidity == believed)
        await pool.open()
        await pool.read(INBOX, noop)
        believed = 2
        await pool.read(INBOX, noop)
        await pool.read(INBOX, noop, is_fresh=True)
        await pool.close()


async def test_renewing_a_mailbox_that_is_gone_leaves_none_selected() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(b"Other")
        await peer.answer(b"SELECT Other", ending=b"NO gone")

    async with scripted(script) as server:
        pool = pool_for(server)
        await pool.open()
        async with pool.connection(OTHER) as connection:
            await pool.renew(connection)
            assert connection.mailbox is None
            await pool.renew(connection)
        await pool.close()


async def test_a_session_that_the_server_has_cut_from_its_mailbox_is_replaced() -> None:
    async def cut_off(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"NOOP", ending=b"BAD User is authenticated but not connected.")
        await peer.gone()

    async def whole(peer: Peer) -> None:
        await peer.welcome()
        await peer.select(b"INBOX")

    async with scripted(cut_off, whole) as server:
        pool = pool_for(server)
        await pool.open()
        first = await pool.read(INBOX, noop)
        second = await pool.read(INBOX, noop, is_fresh=True)
        assert first is not second
        assert not first.is_usable
        await pool.close()


async def test_a_session_that_never_had_a_mailbox_is_unavailable() -> None:
    async def cut_off(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"SELECT ", ending=b"BAD User is authenticated but not connected.")
        await peer.gone()

    async with scripted(cut_off, cut_off) as server:
        pool = pool_for(server)
        await pool.open()
        with pytest.raises(Unavailable, match="not connected"):
            await pool.read(INBOX, noop)
        await pool.close()


@pytest.mark.parametrize("ending", [b"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", b"NO [EXPIRED] x"])
async def test_a_login_that_ends_in_the_middle_of_a_session_is_done_again(ending: bytes) -> None:
    """Whether the credentials are still good only a login can tell: a session may end with the token it began with."""

    async def ended(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"SELECT ", ending=ending)
        await peer.gone()

    async def whole(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()

    async with scripted(ended, whole) as server:
        pool = pool_for(server)
        await pool.open()
        assert (await pool.read(INBOX, noop)).is_usable
        await pool.close()


async def refuse_one_more(peer: Peer) -> None:
    """Refuse a login as Gmail and others do beyond their number of connections."""
    await peer.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
    await peer.answer(b"LOGIN ", ending=b"NO [ALERT] Too many simultaneous connections. (Failure)")
    await peer.gone()


async def test_where_the_server_takes_no_more_connections_one_waits_for_those_there_are() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    async with scripted(script, refuse_one_more, refuse_one_more) as server:
        pool = pool_for(server)
        await pool.open()
        used: list[Connection] = []
        refusals, both = 0, asyncio.Event()

        def refused() -> None:
            nonlocal refusals
            refusals += 1
            if refusals == 2:
                both.set()

        async def use() -> None:
            async with pool.connection(None, is_fresh=False) as connection:
                used.append(connection)

        pool.on_scarce = refused
        async with pool.connection(None, is_fresh=False) as first:
            tasks = [asyncio.create_task(use()) for _ in range(2)]
            await both.wait()
            assert pool.allowed == 1
            # It is not asked again.
            tasks.append(asyncio.create_task(use()))
            await asyncio.sleep(0)
            assert used == []
        await asyncio.gather(*tasks)
        assert used == [first] * 3
        await pool.close()


async def test_one_does_not_wait_for_ever() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    async with scripted(script, refuse_one_more) as server:
        pool = Pool(settings_for(server, timeout_s=0.3), CREDENTIALS, lambda _selected: None)
        await pool.open()
        async with pool.connection(None, is_fresh=False):
            with pytest.raises(RateLimited, match="takes 1 connections"):
                async with pool.connection(None, is_fresh=False):
                    pass
        async with pool.connection(None, is_fresh=False):
            pass
        await pool.close()


async def test_a_refusal_while_there_is_no_other_connection_is_told() -> None:
    async with scripted(refuse_one_more) as server:
        pool = pool_for(server)
        with pytest.raises(RateLimited):
            await pool.open()


async def test_after_a_while_more_connections_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    monkeypatch.setattr(pool_module, "SCARCE_S", 0.0)
    async with scripted(script, refuse_one_more, script) as server:
        pool = pool_for(server)
        await pool.open()
        async with pool.connection(None, is_fresh=False) as one, pool.connection(None, is_fresh=False) as two:
            assert one is not two
        await pool.close()


THROTTLED = b"NO Request is throttled. Suggested Backoff Time: 89117 milliseconds"


@pytest.mark.parametrize("where", ["login", "select", "command"])
async def test_a_server_that_throttles_is_asked_nothing_until_then(where: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        if where == "select":
            await peer.answer(b"SELECT ", ending=THROTTLED)
        elif where == "command":
            await peer.select()
            await peer.answer(b"UID SEARCH ALL", ending=THROTTLED)
        await peer.gone()

    async def refused(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        await peer.answer(b"LOGIN ", ending=THROTTLED)
        await peer.gone()

    async def begin(peer: Peer) -> None:
        await peer.welcome()
        await peer.gone()

    async def search(connection: Connection) -> object:
        return await connection.run(b"UID SEARCH", b"ALL")

    async with scripted(script, *([refused] if where == "login" else []), begin) as server:
        pool = pool_for(server)
        await pool.open()
        if where == "login":
            async with pool.connection(None, is_fresh=False):
                with pytest.raises(RateLimited):
                    await pool.read(INBOX, search)
        else:
            with pytest.raises(RateLimited):
                await pool.read(INBOX, search)
        with pytest.raises(RateLimited) as caught:
            await pool.read(None, noop)
        assert 80 < caught.value.retry_after_s <= 89.117
        await pool.close()
        await pool.open()
        await pool.close()
