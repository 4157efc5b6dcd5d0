"""A real HTTP/2 server on loopback: hypercorn under TLS, in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.connectors.transport.conftest import Certificates

Send = Callable[[dict[str, Any]], Awaitable[None]]
Answering = Callable[[dict[str, Any], bytes, Send], Awaitable[None]]


async def answer(send: Send, status: int, body: bytes, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(fields)})
    await send({"type": "http.response.body", "body": body})


class Http2Server:
    """`versions` lists the HTTP version of each request; `clients` the client's port of each."""

    def __init__(self, port: int, answering: Answering) -> None:
        self.port = port
        self.versions: list[str] = []
        self.clients: list[int] = []
        self._answering = answering

    def url(self, path: str = "/") -> str:
        return f"https://localhost:{self.port}{path}"

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
    ) -> None:
        if scope["type"] != "http":
            return
        self.versions.append(scope["http_version"])
        self.clients.append(scope["client"][1])
        body, is_more = b"", True
        while is_more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        await self._answering(scope, body, send)


@contextlib.asynccontextmanager
async def http2_server(
    certificates: Certificates, answering: Answering, *, alpn: tuple[str, ...] = ("h2", "http/1.1"), **settings: Any
) -> AsyncIterator[Http2Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Http2Server(listener.getsockname()[1], answering)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = str(certificates.chain_file), str(certificates.key_file)
    config.alpn_protocols = list(alpn)
    config.loglevel, config.graceful_timeout = "CRITICAL", 0.1
    for name, value in settings.items():
        setattr(config, name, value)
    stopping, started = asyncio.Event(), asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            started.set()
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await server(scope, receive, send)

    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stopping.wait))  # type: ignore[arg-type]
    await started.wait()
    try:
        yield server
    finally:
        stopping.set()
        await serving
