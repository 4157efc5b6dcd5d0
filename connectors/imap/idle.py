"""Waiting on a connection for news of its mailbox: IDLE (RFC 2177)."""

from __future__ import annotations

import asyncio

from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost, SilentServer, from_session
from gateway.wire.responses import ContinuationRequest, TaggedResponse


class Idle:
    """`begin`, `wait` as often as need be, and `end`; then it may begin again.

    As with a command, a failure or a cancellation closes the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tag = b""

    async def begin(self) -> None:
        """Have the server tell what happens.

        Raises:
            ConnectionLost, ConnectorError: the server closed, or does not do it.
        """
        connection = self._connection
        self._tag = connection.next_tag()
        try:
            connection.transport.send(self._tag + b" IDLE\r\n")
            await connection.transport.drain()
            while True:
                event = await connection.next_event()
                if isinstance(event, ContinuationRequest):
                    return
                if isinstance(event, TaggedResponse):
                    raise from_session(connection.what(b"IDLE"), event.status, event.code, event.text)
                connection.note(event)
        except (ConnectionLost, asyncio.CancelledError):
            connection.abort()
            raise

    async def wait(self, duration_s: float) -> bool:
        """Wait until the mailbox changes; False if it does not within `duration_s` seconds.

        Raises:
            ConnectionLost: the server closed, or has ended IDLE.
        """
        connection, loop = self._connection, asyncio.get_running_loop()
        deadline = loop.time() + duration_s
        try:
            while (left_s := deadline - loop.time()) > 0:
                try:
                    event = await connection.next_event(left_s)
                except SilentServer:
                    return False
                if isinstance(event, TaggedResponse):
                    raise ConnectionLost(f"{connection.what(b'IDLE')} ended by the server: {event.text}")
                if connection.note(event):
                    return True
            return False
        except (ConnectionLost, asyncio.CancelledError):
            connection.abort()
            raise

    async def end(self) -> bool:
        """End IDLE; return whether the mailbox has changed meanwhile.

        Raises:
            ConnectionLost: the server closed.
        """
        connection = self._connection
        has_changed = False
        try:
            connection.transport.send(b"DONE\r\n")
            while True:
                event = await connection.next_event()
                if isinstance(event, TaggedResponse) and event.tag == self._tag:
                    return has_changed
                has_changed |= connection.note(event)
        except (ConnectionLost, asyncio.CancelledError):
            connection.abort()
            raise
