"""What leaves on a connection, and when."""

from __future__ import annotations

import asyncio

from gateway.imap.connection import Connection
from gateway.imap.endings import ConnectionLost
from gateway.imap.output import BLOCK
from gateway.imap.settings import ImapSettings
from tests.gateway.imap.rig import Rig


async def test_what_is_written_in_one_turn_leaves_together() -> None:
    async def serve(connection: Connection) -> None:
        for number in range(100):
            connection.output.write(b"%d\r\n" % number)

    rig = Rig(serve)
    await rig.end()
    assert len(rig.wire.writes) == 1


async def test_much_output_leaves_in_blocks() -> None:
    async def serve(connection: Connection) -> None:
        for _ in range(5):
            connection.output.write(b"x" * (BLOCK // 2))

    rig = Rig(serve)
    await rig.end()
    assert [len(data) for data in rig.wire.writes] == [BLOCK, BLOCK, BLOCK // 2]


async def test_drain_waits_for_a_slow_client() -> None:
    steps: list[str] = []

    async def serve(connection: Connection) -> None:
        connection.pause_writing()
        steps.append("waiting")
        await connection.output.drain()
        steps.append("going on")

    rig = Rig(serve)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert steps == ["waiting"]
    rig.connection.resume_writing()
    await rig.end()
    assert steps == ["waiting", "going on"]


async def test_a_client_that_takes_nothing_is_dropped() -> None:
    lost: list[bool] = []

    async def serve(connection: Connection) -> None:
        connection.pause_writing()
        try:
            await connection.output.drain()
        except ConnectionLost:
            lost.append(True)

    rig = Rig(serve, ImapSettings(send_timeout_s=0.001))
    await rig.end()
    assert lost == [True]
    assert rig.wire.is_aborted
