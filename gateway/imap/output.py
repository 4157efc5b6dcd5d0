"""What leaves on a connection: gathered in each turn of the loop, and no faster than the client takes it."""

from __future__ import annotations

import asyncio
import logging

from gateway.imap.deflate import DeflateLayer
from gateway.imap.endings import ConnectionLost
from gateway.imap.login_time import LoginTime
from gateway.imap.settings import ImapSettings
from gateway.imap.turnstile import resolve

log = logging.getLogger(__name__)

BLOCK = 65_536
"""Output is handed to the transport in pieces of about this many octets."""


class Output:
    """The way out to one client. `layer` compresses what leaves, from when it is set.

    `is_lost` says that nothing will leave any more: the client is gone, was refused, or was dropped here.
    """

    __slots__ = (
        "_client",
        "_is_flush_due",
        "_is_writable",
        "_login_time",
        "_loop",
        "_pieces",
        "_settings",
        "_size",
        "_transport",
        "_waiter",
        "is_lost",
        "layer",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: ImapSettings, login_time: LoginTime) -> None:
        self.layer: DeflateLayer | None = None
        self.is_lost = False
        self._loop = loop
        self._settings = settings
        self._login_time = login_time
        self._client = ""
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_flush_due = False
        self._is_writable = True
        self._waiter: asyncio.Future[bool] | None = None

    def use(self, transport: asyncio.Transport, client: str) -> None:
        """Send by this transport from now on; `client` is its address, for the log."""
        self._transport = transport
        self._client = client
        transport.set_write_buffer_limits(high=self._settings.output_high_water)

    # -- for the session -----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue octets; they leave at the end of this turn of the loop, or at once if there are many."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self.flush()
        elif not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush_when_due)

    async def drain(self) -> None:
        """Wait while the client is slower than we are; call it after each block of output.

        Raises:
            ConnectionLost: it is gone, took nothing for `send_timeout_s` seconds, or not enough in its time to log in.
        """
        while not self._is_writable and not self.is_lost:
            if self._login_time.is_over:
                log.info("dropped %s: it took no output and has not logged in", self._client)
                self._drop()
                break
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(self._settings.send_timeout_s, resolve, self._waiter, False)
            try:
                if not await self._waiter:
                    log.info("dropped %s: it took no output for %d s", self._client, self._settings.send_timeout_s)
                    self._drop()
            finally:
                timer.cancel()
                self._waiter = None
        if self.is_lost:
            raise ConnectionLost

    # -- for the connection --------------------------------------------------------------------------------------------

    def flush(self, *, is_last: bool = False) -> None:
        """Send what was written; with `is_last`, as the last of what is compressed."""
        if not self._pieces and not is_last:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if not self.is_lost and self._transport is not None:
            if self.layer is not None:
                data = self.layer.finish(data) if is_last else self.layer.compress(data)
            self._transport.write(data)

    def pause(self) -> None:
        """Take note that the client is slow."""
        self._is_writable = False

    def resume(self) -> None:
        """Take note that the client has caught up."""
        self._is_writable = True
        self.wake()

    def lose(self) -> None:
        """Take note that the client is gone."""
        self.is_lost = True
        self.wake()

    def wake(self) -> None:
        """Have whoever drains look again whether there is still time for it."""
        if self._waiter is not None:
            resolve(self._waiter, True)

    def _flush_when_due(self) -> None:
        self._is_flush_due = False
        self.flush()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.is_lost = True
