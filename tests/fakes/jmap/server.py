"""Puts a stand-in on the network, in the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from uvicorn.config import Config
from uvicorn.server import ServerState

from tests.fakes.jmap.connections import Connections, TrackedProtocol
from tests.fakes.jmap.door import Door
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import EventSourceMode, FakeOptions, FakeUser, Quirk, UrlStyle
from tests.fakes.jmap.session import Origins

__all__ = ["EventSourceMode", "FakeJmap", "FakeOptions", "FakeUser", "Quirk", "UrlStyle", "running_fake"]

KEEP_ALIVE_S = 75


@contextlib.asynccontextmanager
async def running_fake(
    options: FakeOptions | None = None,
    *,
    fake: FakeJmap | None = None,
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[FakeJmap]:
    """Serve a stand-in on loopback and yield it; its session document is at `fake.url`.

    A port of 0 takes a free one. The server uses no task or thread of its own beside those of its requests, which are
    ended when the context is left.

    Raises:
        OSError: the port is taken.
    """
    served = fake or FakeJmap(options)
    connections = Connections()
    config = Config(
        Door(served, connections).application(),
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        ws="websockets-sansio",
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    sockets = [_listening(port), _listening(0)]
    servers = [
        await loop.create_server(lambda: TrackedProtocol(config, state, connections), sock=each, ssl=ssl_context)
        for each in sockets
    ]
    ports = [each.getsockname()[1] for each in sockets]
    served.origins = Origins(ports[0], ports[1], ssl_context is not None)
    try:
        yield served
    finally:
        for server in servers:
            server.close()
        connections.abort_all()
        served.release_all()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in servers:
            await server.wait_closed()
        # The transports report their loss in the next turn of the loop.
        await asyncio.sleep(0)


def _listening(port: int) -> socket.socket:
    # The protocol is named, as asyncio turns off the delay of small packets for TCP that says so, and only then.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    listener.setblocking(False)
    return listener
