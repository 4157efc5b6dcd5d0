"""The connections of the server, so that one can be cut in the middle of whatever goes over it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from starlette.requests import HTTPConnection
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

Address = tuple[str, int]


class Connection(Protocol):
    """What Connections needs of a transport."""

    def close(self) -> None:
        """Close it once what was written has gone out."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """Open connections by the address of the client."""

    def __init__(self) -> None:
        self.open: dict[Address, Connection] = {}
        self.opened = 0
        self.push_streams = 0
        self.websockets = 0

    def add(self, address: Address, connection: Connection) -> None:
        self.opened += 1
        self.open[address] = connection

    def close(self, connection: HTTPConnection) -> None:
        """Close the connection that a request came by, once what was written to it has gone out."""
        client = connection.client
        found = self.open.get((client.host, client.port)) if client else None
        if found is not None:
            found.close()

    def forget(self, address: Address) -> None:
        self.open.pop(address, None)

    def abort_all(self) -> None:
        for connection in list(self.open.values()):
            connection.abort()


def _peer(transport: asyncio.Transport) -> Address:
    host, port, *_ = transport.get_extra_info("peername")
    return str(host), int(port)


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, known to `Connections` for as long as it lives."""

    def __init__(self, config: Config, server_state: ServerState, connections: Connections) -> None:
        app_state: dict[str, Any] = {}
        super().__init__(config, server_state, app_state)
        self._tracked = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._tracked.add(_peer(transport), transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tracked.forget(_peer(self.transport))
        super().connection_lost(exc)
