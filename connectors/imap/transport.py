"""A stream of octets to a server, plain or under TLS, with flow control both ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import cast

from connectors.imap.errors import ConnectionLost, SilentServer
from connectors.transport.dialling import dial

PAUSE_OCTETS = 256 * 1024
"""The socket is not read while this much waits to be taken."""

_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
# Where `tcpi_bytes_acked` stands in Linux' struct tcp_info, since version 4.1.
_ACKNOWLEDGED = slice(120, 128)


class Transport(asyncio.Protocol):
    """Use `connect`. Reads and writes are for one task at a time."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._received: list[bytes] = []
        self._received_octets = 0
        self._is_paused = False
        self._is_ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._closed = asyncio.Event()

    @classmethod
    async def connect(cls, host: str, port: int, ssl_context: ssl.SSLContext | None, timeout_s: float) -> Transport:
        """Connect, and with a context do the TLS handshake.

        Raises:
            ConnectionLost: refused, unreachable, silent, or the certificate is not trusted.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, protocol = await loop.create_connection(
                    lambda: cls(timeout_s),
                    sock=await dial(host, port),
                    ssl=ssl_context,
                    server_hostname=host if ssl_context is not None else None,
                )
        except TimeoutError as exc:
            raise ConnectionLost(f"connecting to {host}:{port} took more than {timeout_s:g} s") from exc
        except (OSError, UnicodeError) as exc:
            raise ConnectionLost(f"connecting to {host}:{port} failed: {exc}") from exc
        return protocol

    @property
    def is_ended(self) -> bool:
        """Whether the server has ended the stream; what came before may still be waiting."""
        return self._is_ended

    @property
    def has_received(self) -> bool:
        """Whether octets are waiting to be taken."""
        return bool(self._received)

    async def read(self, timeout_s: float | None = None) -> bytes:
        """Return what has arrived, waiting for it; empty at the end of the stream.

        Raises:
            SilentServer: nothing came for `timeout_s` seconds; if that is left out, for as long as the settings say, in
                which the server took nothing of what was sent either.
            ConnectionLost: the connection broke.
        """
        while not self._received and not self._is_ended:
            limit = self._timeout_s if timeout_s is None else timeout_s
            taken = self._taken()
            self._reader = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(limit):
                    await self._reader
            except TimeoutError as exc:
                # Of what was sent megabytes may be on their way still, over a thin line for minutes.
                if timeout_s is not None or self._taken() == taken:
                    raise SilentServer(f"nothing came from the server for {limit:g} s") from exc
            finally:
                self._reader = None
        return self.take()

    def take(self) -> bytes:
        """Return what has arrived, without waiting; empty if nothing has.

        Raises:
            ConnectionLost: the connection broke and everything before that was taken.
        """
        if not self._received:
            if self._error is not None:
                raise ConnectionLost(f"the connection broke: {self._error}") from self._error
            return b""
        data = b"".join(self._received)
        self._received.clear()
        self._received_octets = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def send(self, data: bytes) -> None:
        """Hand octets over for sending; follow it with `drain`.

        Raises:
            ConnectionLost: the connection is gone; nothing of `data` was sent.
        """
        if self._transport is None or self._closed.is_set() or self._transport.is_closing():
            raise ConnectionLost("the connection is closed")
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the server does not take what was sent.

        Raises:
            ConnectionLost: the connection broke, or the server takes nothing for the time-out.
        """
        while not self._can_write.is_set():
            taken = self._taken()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._can_write.wait()
            except TimeoutError as exc:
                if self._taken() == taken:
                    raise ConnectionLost(f"the server took no data for {self._timeout_s:g} s") from exc
        if self._closed.is_set():
            raise ConnectionLost("the connection broke while sending")

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Do the TLS handshake on the open connection; octets that came before it are forgotten.

        Raises:
            ConnectionLost: it failed.
        """
        plain = self._transport
        if plain is None or self._closed.is_set():
            raise ConnectionLost("the connection is closed")
        # What was sent in the clear behind the OK to STARTTLS may come from anyone (RFC 9051 section 6.2.1).
        self._received.clear()
        self._received_octets = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                secured = await loop.start_tls(plain, self, context, server_hostname=host)
        except TimeoutError as exc:
            raise ConnectionLost(f"the TLS handshake took more than {self._timeout_s:g} s") from exc
        except OSError as exc:
            raise ConnectionLost(f"the TLS handshake failed: {exc}") from exc
        if secured is None:
            raise ConnectionLost("the connection closed during the TLS handshake")
        self._received.clear()
        self._received_octets = 0
        self._transport = secured

    def abort(self) -> None:
        """Drop the connection at once."""
        self._is_ended = True
        # Under TLS, asyncio's transport of Python 3.11.2 cannot be closed or aborted once it is lost.
        if self._transport is not None and not self._closed.is_set():
            self._transport.abort()

    async def close(self) -> None:
        """Close the connection and wait for that, for a second at most."""
        if self._transport is None or self._closed.is_set():
            return
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._closed.wait()
        self.abort()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not all are asyncio.Transport by inheritance: uvloop's are so by what they do.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._received_octets += len(data)
        if self._received_octets > PAUSE_OCTETS and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._is_ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._error = exc
        self._closed.set()
        self._can_write.set()
        self._wake()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def _taken(self) -> int:
        """Return how many octets the server's side has acknowledged; always 0 where the system does not tell."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        if sock is None or _TCP_INFO is None:
            return 0
        try:
            told = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACKNOWLEDGED.stop)
        except OSError:
            # It is closed.
            return 0
        return int.from_bytes(told[_ACKNOWLEDGED], sys.byteorder)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
