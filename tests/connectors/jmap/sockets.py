"""A WebSocket server on loopback that does what the test says, connection by connection."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from connectors.jmap.structs import WEBSOCKET
from tests.connectors.jmap.offline import session_document

Script = Callable[[ServerConnection], Awaitable[None]]


class SocketServer:
    """Runs one script for each connection, and the last one again for all that follow.

    `refusals` are statuses with which the first handshakes are answered. `enabled` holds what clients sent first;
    `before_answer`, if set, is sent before what they ask next is answered.
    """

    def __init__(self, scripts: list[Script], refusals: list[int]) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.enabled: list[dict[str, Any]] = []
        self.refusals = refusals
        self.session: dict[str, Any] = {}
        self.before_answer: str | None = None
        self._scripts = scripts

    def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is asked for without a WebSocket."""
        if request.path != "/ws":
            return connection.respond(HTTPStatus.OK, json.dumps(self.session))
        self.requests.append(request)
        return connection.respond(HTTPStatus(self.refusals.pop(0)), "") if self.refusals else None

    async def talk(self, connection: ServerConnection) -> None:
        try:
            self.enabled.append(json.loads(await connection.recv()))
            if self.before_answer is not None:
                await connection.send(self.before_answer)
            probe = json.loads(await connection.recv())
            answer = {"@type": "Response", "requestId": probe["id"], "methodResponses": probe["methodCalls"]}
            await connection.send(json.dumps(answer))
            await self._scripts[min(len(self.enabled), len(self._scripts)) - 1](connection)
        except ConnectionClosed:
            return


@asynccontextmanager
async def socket_server(
    *scripts: Script,
    refusals: list[int] | None = None,
    subprotocols: list[Subprotocol] | None = None,
    supports_push: bool = True,
    tls: ssl.SSLContext | None = None,
    **session: Any,
) -> AsyncIterator[SocketServer]:
    """Run a server with these connections; its session document has the given properties."""
    door = SocketServer(list(scripts), list(refusals or []))
    spoken = [Subprotocol("jmap")] if subprotocols is None else subprotocols
    async with serve(
        door.talk,
        "127.0.0.1",
        0,
        process_request=door.receive,
        subprotocols=spoken or None,
        close_timeout=0.5,
        ssl=tls,
    ) as server:
        address = f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        door.url = f"{'https' if tls else 'http'}://{address}/session"
        capability = {"url": f"{'wss' if tls else 'ws'}://{address}/ws", "supportsPush": supports_push}
        capabilities = session_document()["capabilities"] | {WEBSOCKET: capability}
        door.session = session_document(**({"capabilities": capabilities} | session))
        yield door
