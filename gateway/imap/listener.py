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
from gateway.imap.tls_acceptor import TlsAcceptor, bound_sockets
from gateway.tls import ServerTls
from gateway.wire import write
from gateway.wire.codes import Code, Status

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the system may hold until they are taken. After a restart thousands of clients come back at once,
and whom it turns away tries again later and later. It may allow fewer (`net.core.somaxconn`)."""

REFUSALS_TOLD_S = 10.0
"""A flood of connections is to be no flood of log lines: refusals are told of so often at most."""


class Protocol(Enum):
    """How a listener begins: in the clear, with STARTTLS if there is a certificate, or with TLS (RFC 8314)."""

    IMAP = "imap"
    IMAPS = "imaps"


class ImapDoor:
    """Listens and serves. One door may have several listeners."""

    def __init__(self, services: ImapServices) -> None:
        self._services = services
        self._servers: list[asyncio.Server | TlsAcceptor] = []
        self._refusals = Refusals()
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
        try:
            if is_tls and tls is not None:
                servers: list[asyncio.Server | TlsAcceptor] = [
                    self._accept_tls(sock, tls) for sock in await bound_sockets(host or None, port, BACKLOG)
                ]
            else:
                servers = [await self._accept_plain(host or None, port)]
        except OSError as exc:
            raise OperatorError(
                f"cannot listen on {host or '*'}:{port}: {exc.strerror or exc}", key="listeners.bind"
            ) from exc
        self._servers.extend(servers)
        return [_address(sock) for server in servers for sock in server.sockets]

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

    async def _accept_plain(self, host: str | None, port: int) -> asyncio.Server:
        loop, services = asyncio.get_running_loop(), self._services
        return await loop.create_server(
            lambda: Connection(
                loop,
                services.settings,
                self._serve,
                is_tls=False,
                admit=self._admit,
                turnstile=services.turnstile,
            ),
            host,
            port,
            backlog=BACKLOG,
        )

    def _accept_tls(self, sock: socket.socket, tls: ServerTls) -> TlsAcceptor:
        loop, services = asyncio.get_running_loop(), self._services
        return TlsAcceptor(
            sock,
            tls.context,
            lambda address: Connection(
                loop,
                services.settings,
                self._serve,
                is_tls=True,
                admit=self._take_in,
                address=address,
                # Of the certificate that this handshake shows; a reload meanwhile is for later ones.
                server_end_point=tls.end_point,
                turnstile=services.turnstile,
            ),
            admit=self._count,
            release=services.limits.release,
            handshake_timeout_s=services.settings.tls_handshake_timeout_s,
        )

    def _admit(self, connection: Connection) -> bool:
        if self._is_closing:
            connection.refuse(write.untagged_status(Status.BYE, "Server shutting down", Code.UNAVAILABLE.value))
            return False
        if not self._count(connection.address):
            connection.refuse(write.untagged_status(Status.BYE, "Too many connections", Code.UNAVAILABLE.value))
            return False
        self._connections.add(connection)
        return True

    def _count(self, address: str) -> bool:
        """Count a connection; False if it is one too many."""
        is_admitted = self._services.limits.admit(address)
        if not is_admitted:
            self._refusals.add(address)
        return is_admitted

    def _take_in(self, connection: Connection) -> bool:
        """Take over a connection that was counted before its handshake."""
        if self._is_closing:
            self._services.limits.release(connection.address)
            connection.refuse(write.untagged_status(Status.BYE, "Server shutting down", Code.UNAVAILABLE.value))
            return False
        self._connections.add(connection)
        return True

    async def _serve(self, connection: Connection) -> None:
        try:
            await converse(connection, self._services)
        finally:
            self._connections.discard(connection)
            self._services.limits.release(connection.address)


class Refusals:
    """Tells the operator of connections that were refused: of the first at once, of others by their number."""

    def __init__(self) -> None:
        self._untold = 0
        self._told_at: float | None = None

    def add(self, address: str) -> None:
        """Take note of one."""
        self._untold += 1
        now = asyncio.get_running_loop().time()
        if self._told_at is None or now - self._told_at >= REFUSALS_TOLD_S:
            log.warning("too many connections: refused %d, the last from %s", self._untold, address)
            self._untold, self._told_at = 0, now


def _address(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return str(host), int(port)
