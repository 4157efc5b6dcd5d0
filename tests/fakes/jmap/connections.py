"""The TCP connections of the server, so that one can be cut in the middle of whatever goes over it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import HTTPConnection
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class Connections:
    """Open transports by the address of the client."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], asyncio.Transport] = {}
        self.opened = 0
        self.push_streams = 0
        self.websockets = 0

    def add(self, transport: asyncio.Transport) -> None:
        self.opened += 1
        self.open[_peer(transport)] = transport

    def close(self, connection: HTTPConnection) -> None:
        """Close the connection that a request came by, once what was written to it has gone out."""
        client = connection.client
        transport = self.open.get((client.host, client.port)) if client else None
        if transport is not None:
            transport.close()

    def forget(self, transport: asyncio.Transport) -> None:
        self.open.pop(_peer(transport), None)

    def abort_all(self) -> None:
        for transport in list(self.open.values()):
            transport.abort()


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    host, port, *_ = transport.get_extra_info("peername")
    return str(host), int(port)


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, known to `Connections` for as long as it lives."""

    def __init__(self, config: Config, server_state: ServerState, connections: Connections) -> None:
        app_state: dict[str, Any] = {}
        super().__init__(config, server_state, app_state)
        self._tracked = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._tracked.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tracked.forget(self.transport)
        super().connection_lost(exc)
