"""IDLE on one connection."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import ConnectorError
from connectors.imap.errors import ConnectionLost
from connectors.imap.idle import Idle
from connectors.imap.login import connect
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import CREDENTIALS, Peer, scripted, settings_for

PATIENT_S = 5.0


async def idling(peer: Peer, *, first: bytes = b"") -> bytes:
    """Let a client log in, select INBOX and begin; return the tag."""
    await peer.welcome(b"IDLE")
    await peer.select(exists=3)
    tag = await peer.expect(b"IDLE")
    await peer.send(first + b"+ idling\r\n")
    return tag


async def test_news_ends_the_wait_and_what_comes_at_the_end_is_noted() -> None:
    async def script(peer: Peer) -> None:
        tag = await idling(peer)
        await peer.send(b"* OK still here\r\n* 4 EXISTS\r\n")
        assert await peer.line() == b"DONE"
        await peer.send(b"* 5 EXISTS\r\n" + tag + b" OK done\r\n")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        selected = await connection.select(INBOX)
        idle = Idle(connection)
        await idle.begin()
        assert await idle.wait(PATIENT_S)
        assert selected.exists == 4
        assert await idle.end()
        assert selected.exists == 5
        await connection.run(b"NOOP")
        connection.abort()


async def test_a_wait_in_which_nothing_comes_leaves_the_connection_usable() -> None:
    async def script(peer: Peer) -> None:
        tag = await idling(peer)
        assert await peer.line() == b"DONE"
        await peer.send(tag + b" OK done\r\n")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        await connection.select(INBOX)
        idle = Idle(connection)
        await idle.begin()
        assert not await idle.wait(0.01)
        assert not await idle.end()
        await connection.run(b"NOOP")
        connection.abort()


async def test_what_comes_before_it_has_begun_is_noted() -> None:
    async def script(peer: Peer) -> None:
        await idling(peer, first=b"* 9 EXISTS\r\n")
        await peer.gone()

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        selected = await connection.select(INBOX)
        await Idle(connection).begin()
        assert selected.exists == 9
        connection.abort()


async def test_a_refusal_leaves_the_connection_usable() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"IDLE")
        await peer.select()
        await peer.answer(b"IDLE", ending=b"NO not now")
        await peer.answer(b"NOOP")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        await connection.select(INBOX)
        with pytest.raises(ConnectorError, match="IDLE"):
            await Idle(connection).begin()
        await connection.run(b"NOOP")
        connection.abort()


async def test_a_server_that_ends_it_unasked_loses_the_connection() -> None:
    async def script(peer: Peer) -> None:
        tag = await idling(peer)
        await peer.send(tag + b" OK enough\r\n")
        await peer.gone()

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        await connection.select(INBOX)
        idle = Idle(connection)
        await idle.begin()
        with pytest.raises(ConnectionLost, match="enough"):
            await idle.wait(PATIENT_S)
        assert not connection.is_usable


async def test_a_wait_that_is_cancelled_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await idling(peer)
        await peer.gone()

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        await connection.select(INBOX)
        idle = Idle(connection)
        await idle.begin()
        waiting = asyncio.create_task(idle.wait(PATIENT_S))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not connection.is_usable
