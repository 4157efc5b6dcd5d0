"""Octets of one command on their way out: small pieces go together, so that the server is woken once for all."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from connectors.api.errors import Rejected
from connectors.api.types import MessageContent
from connectors.imap.transport import Transport

LARGE_OCTETS = 1 << 16


class Sheaf:
    """Gathers what is sent by `send`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []
        self._octets = 0

    def add(self, data: bytes) -> None:
        """Take octets; whoever adds much looks whether the sheaf `is_large`."""
        self._pieces.append(data)
        self._octets += len(data)

    @property
    def is_large(self) -> bool:
        """Whether it is not worth waiting for more."""
        return self._octets >= LARGE_OCTETS

    def send(self) -> None:
        """Send what was added; drain the transport next.

        Raises:
            ConnectionLost: the connection is gone.
        """
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._octets = 0
            self._transport.send(data)

    async def add_content(self, content: MessageContent, size: int) -> None:
        """Take the octets of a message, of which there are to be `size`, and send as many as need not wait.

        Raises:
            Rejected: there are more or fewer, so that the connection has to be closed: a literal cannot be ended early,
                and only closing keeps the server from storing a torn message.
            ConnectionLost: the connection is gone.
        """
        sent = 0
        if size:
            async for chunk in content.chunks():
                sent += len(chunk)
                if sent > size:
                    break
                if self.is_large:
                    self.send()
                    await self._transport.drain()
                # The last one stays here: leave may be needed for it.
                self.add(chunk)
        if sent != size:
            raise Rejected(f"message content has not the {size} octets it claims")

    async def wait_for(self, leave: Future[None]) -> None:
        """Wait until there is leave to go on, and raise what it holds. Meanwhile all but the last octet goes out.

        A server may take a message for whole with its last octet, whatever has to come behind it.

        Raises:
            ConnectionLost: the connection is gone.
        """
        if leave.done():
            leave.result()
            return
        data = b"".join(self._pieces)
        self._pieces, self._octets = [data[-1:]], 1
        self._transport.send(data[:-1])
        await self._transport.drain()
        await asyncio.wrap_future(leave)
