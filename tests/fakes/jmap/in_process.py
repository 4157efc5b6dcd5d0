"""The stand-in without a network, for tests in which nothing but their seed may decide what comes when.

A request is served as behind a socket: the server goes on with it when the client has gone, and either side may be lost
to the other amid the body. There are no WebSockets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, MutableMapping
from typing import Any

import httpcore
import httpx
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from tests.fakes.jmap.connections import Address, Connections
from tests.fakes.jmap.door import Door
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.session import EVENTS_PATH, Origins

HOST = "127.0.0.1"
FIRST_PORT = 40_000
Message = MutableMapping[str, Any]
DISCONNECTED = {"type": "http.disconnect"}


class InProcessServer:
    """Serves one stand-in to any number of transports."""

    def __init__(self, fake: FakeJmap) -> None:
        self.connections = Connections()
        self._application = Door(fake, self.connections).application()
        self._tasks: dict[asyncio.Task[None], bool] = {}
        """What is being served, and whether it ends by itself."""
        fake.origins = Origins(80, 81)

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return what one client sends its requests by."""
        return _Transport(self)

    async def idle(self) -> None:
        """Return when nothing is being served any more but streams of events. Whatever hangs has to be given up.

        Raises:
            Exception: serving a request has failed.
        """
        while under_way := [task for task, is_finite in self._tasks.items() if is_finite]:
            done, _ = await asyncio.wait(under_way)
            for task in done:
                task.result()

    async def close(self) -> None:
        """Cut all connections and let what is being served come to its end.

        Raises:
            Exception: serving a request has failed.
        """
        self.connections.abort_all()
        await asyncio.gather(*self._tasks)

    def begin(self, request: httpx.Request) -> Exchange:
        address = HOST, FIRST_PORT + self.connections.opened
        exchange = Exchange(self.connections, address)
        task = asyncio.create_task(exchange.serve(self._application, _scope(request, address)))
        self._tasks[task] = request.url.path != EVENTS_PATH
        task.add_done_callback(self._ended)
        return exchange

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            del self._tasks[task]


class Exchange:
    """One request and its reply, on a connection of its own."""

    def __init__(self, connections: Connections, address: Address) -> None:
        self._connections = connections
        self._address = address
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._received: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._head: asyncio.Future[tuple[int, Iterable[tuple[bytes, bytes]]]] = asyncio.Future()
        self._is_over = False
        self._is_whole = False
        connections.add(address, self)

    # -- the server's side --------------------------------------------------------------------------------------------

    async def serve(self, application: ASGIApp, scope: Message) -> None:
        try:
            await application(scope, self._receive, self._send)
        except ClientDisconnect:
            pass
        finally:
            self.close()

    async def _receive(self) -> Message:
        return DISCONNECTED if self._is_over else await self._sent.get()

    async def _send(self, message: Message) -> None:
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            self._head.set_result((message["status"], message.get("headers", ())))
            return
        if body := message.get("body", b""):
            self._received.put_nowait(body)
        if not message.get("more_body", False):
            self._is_whole = True
            self.close()

    def close(self) -> None:
        """End the connection; the client still gets what was sent."""
        if self._is_over:
            return
        self._is_over = True
        self._connections.forget(self._address)
        self._sent.put_nowait(DISCONNECTED)
        self._received.put_nowait(None)
        if not self._head.done():
            self._head.set_exception(httpx.RemoteProtocolError("the server has closed the connection"))
            # The client may have gone and never ask.
            self._head.exception()

    abort = close

    # -- the client's side --------------------------------------------------------------------------------------------

    def feed(self, body: bytes, *, is_last: bool) -> None:
        """Send a piece of the request's body."""
        if not self._is_over:
            self._sent.put_nowait({"type": "http.request", "body": body, "more_body": not is_last})

    async def head(self) -> tuple[int, Iterable[tuple[bytes, bytes]]]:
        """Return status and header of the reply.

        Raises:
            RemoteProtocolError: the connection is lost.
        """
        return await asyncio.shield(self._head)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body of the reply.

        Raises:
            RemoteProtocolError: the connection is lost.
        """
        while (piece := await self._received.get()) is not None:
            yield piece
        if not self._is_whole:
            raise httpx.RemoteProtocolError("the server has closed the connection amid the body")


class _Transport(httpx.AsyncBaseTransport):
    """The connections of one client."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server
        self._open: dict[Exchange, None] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        exchange = self._server.begin(request)
        self._open[exchange] = None
        try:
            await _tell_begun(request)
            async with contextlib.aclosing(aiter(request.stream)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    exchange.feed(piece, is_last=False)
            exchange.feed(b"", is_last=True)
            status, headers = await exchange.head()
        except BaseException:
            self.leave(exchange)
            raise
        return httpx.Response(status, headers=list(headers), stream=_Body(self, exchange))

    def leave(self, exchange: Exchange) -> None:
        """End a connection from the client's side."""
        self._open.pop(exchange, None)
        exchange.close()

    async def aclose(self) -> None:
        for exchange in list(self._open):
            self.leave(exchange)


class _Body(httpx.AsyncByteStream):
    """The body of a reply; closing it ends the connection."""

    def __init__(self, transport: _Transport, exchange: Exchange) -> None:
        self._transport = transport
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.pieces()

    async def aclose(self) -> None:
        self._transport.leave(self._exchange)


async def _tell_begun(request: httpx.Request) -> None:
    """Say that the request goes out, as httpcore does to who wants to know."""
    trace = request.extensions.get("trace")
    if trace is not None:
        begun = httpcore.Request(request.method, str(request.url))
        await trace("http11.send_request_headers.started", {"request": begun})


def _scope(request: httpx.Request, address: Address) -> Message:
    # The version of ASGI is that of uvicorn: with a later one a stream would not notice that its client has gone.
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": address,
        "root_path": "",
    }
