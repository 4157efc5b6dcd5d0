"""The IMAP door: listening sockets, the connections they made, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from enum import Enum

from gateway.errors import OperatorError
from gateway.imap.connection import Connection
from gateway.imap.conversation import converse
from gateway.imap.services import ImapServices
from gateway.wire import write
from gateway.wire.codes import Code, Status

log = logging.getLogger(__name__)

BACKLOG = 512


class Protocol(Enum):
    """How a listener begins: in the clear, with STARTTLS if there is a certificate, or with TLS (RFC 8314)."""

    IMAP = "imap"
    IMAPS = "imaps"


class ImapDoor:
    """Listens and serves. One door may have several listeners."""

    def __init__(self, services: ImapServices) -> None:
        self._services = services
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._is_closing = False

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def listen(self, protocol: Protocol, host: str | None, port: int) -> Sequence[tuple[str, int]]:
        """Start to listen; return the addresses and ports in use, as port 0 means any.

        `host` empty or None means every address.

        Raises:
            OperatorError: the address cannot be used, or `imaps` is asked for and there is no certificate.
        """
        tls = self._services.tls
        if protocol is Protocol.IMAPS and tls is None:
            raise OperatorError("imaps needs a certificate", key="listeners.protocol")
        is_tls = protocol is Protocol.IMAPS
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: self._make_connection(loop, is_tls=is_tls),
                host or None,
                port,
                backlog=BACKLOG,
                ssl=tls.context if is_tls and tls is not None else None,
                ssl_handshake_timeout=self._services.settings.tls_handshake_timeout_s if is_tls else None,
            )
        except OSError as exc:
            raise OperatorError(
                f"cannot listen on {host or '*'}:{port}: {exc.strerror or exc}", key="listeners.bind"
            ) from exc
        self._servers.append(server)
        return [_address(sock) for sock in server.sockets]

    async def drain(self, deadline_s: float) -> None:
        """Stop: no new connections, BYE to idle clients, commands in hand are finished for up to `deadline_s` seconds.

        What is not done by then is cut off. Returns when every connection has ended.
        """
        self._is_closing = True
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.begin_shutdown()
        tasks = self._tasks()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=deadline_s)
            if unfinished:
                log.warning("%d connections were cut off in the middle of a command", len(unfinished))
            for connection in tuple(self._connections):
                connection.abort()
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [connection.task for connection in self._connections if connection.task is not None]

    def _make_connection(self, loop: asyncio.AbstractEventLoop, *, is_tls: bool) -> Connection:
        return Connection(loop, self._services.settings, self._serve, is_tls=is_tls, admit=self._admit)

    def _admit(self, connection: Connection) -> bool:
        if self._is_closing:
            connection.refuse(write.untagged_status(Status.BYE, "Server shutting down", Code.UNAVAILABLE.value))
            return False
        if not self._services.limits.admit(connection.address):
            log.warning("refused %s: too many connections", connection.address)
            connection.refuse(write.untagged_status(Status.BYE, "Too many connections", Code.UNAVAILABLE.value))
            return False
        self._connections.add(connection)
        return True

    async def _serve(self, connection: Connection) -> None:
        try:
            await converse(connection, self._services)
        finally:
            self._connections.discard(connection)
            self._services.limits.release(connection.address)


def _address(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return str(host), int(port)
