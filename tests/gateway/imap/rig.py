"""A connection on a transport in memory, with a session that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.imap.connection import Connection
from gateway.imap.settings import ImapSettings
from gateway.imap.turnstile import Turnstile

Session = Callable[[Connection], Awaitable[None]]


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and stops and goes as it is told."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 4711)})
        self.writes: list[bytes] = []
        self._is_paused = False
        self.is_closed = False
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False

    def is_reading(self) -> bool:
        return not self._is_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class Rig:
    """A connection on a `Wire`, with a session to be looked at."""

    def __init__(
        self,
        serve: Session,
        settings: ImapSettings | None = None,
        address: str = "192.0.2.1",
        turnstile: Turnstile | None = None,
    ) -> None:
        async def run(connection: Connection) -> None:
            await serve(connection)

        loop = asyncio.get_running_loop()
        self.connection = Connection(loop, settings or ImapSettings(), run, is_tls=False, turnstile=turnstile)
        self.wire = Wire(address)
        self.connection.connection_made(self.wire)

    @property
    def written(self) -> bytes:
        return b"".join(self.wire.writes)

    async def end(self) -> None:
        """Wait for the session to end."""
        task = self.connection.task
        assert task is not None
        async with asyncio.timeout(10):
            await task
        self.connection.connection_lost(None)
