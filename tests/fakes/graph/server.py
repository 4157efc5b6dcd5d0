"""The stand-in on loopback ports, in the process of a test or in its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import trustme
import uvicorn

from tests.fakes.graph.app import application
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import Clock, GraphOptions

_GRACE_S = 1


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running_graph(
    options: GraphOptions | None = None,
    *,
    fake: FakeGraph | None = None,
    port: int = 0,
    tls_port: int = 0,
    clock: Clock | None = None,
) -> AsyncIterator[FakeGraph]:
    """Serve a stand-in on 127.0.0.1 and yield it: `fake.api_root`, `fake.authority()`, and `fake.ca_file` with `tls`.

    A port of 0 takes a free one. The state is the fake's: served again after a while, on the same port, it is a server
    that was down. Raises OSError if a port is taken, TypesMissing.
    """
    served = fake if fake is not None else FakeGraph(options, clock=clock)
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(_listening(port))
        served.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await stack.enter_async_context(_serving(served, listening, None))
        if served.options.tls:
            secure = stack.enter_context(_listening(tls_port))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fake-graph-"))
            served.login_origin = f"https://127.0.0.1:{secure.getsockname()[1]}"
            served.ca_file, certificate = _certificate(Path(folder))
            await stack.enter_async_context(_serving(served, secure, certificate))
        task = asyncio.create_task(served.subscriptions.run(), name="fake graph notifications")
        try:
            yield served
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await served.subscriptions.close()


@contextlib.asynccontextmanager
async def _serving(fake: FakeGraph, listening: socket.socket, certificate: Path | None) -> AsyncIterator[None]:
    config = uvicorn.Config(
        application(fake),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
        ws="none",
        ssl_certfile=certificate,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listening]), name="fake graph")
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    # asyncio switches Nagle's algorithm off only where the protocol is named; without it each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
        yield listening


def _certificate(folder: Path) -> tuple[str, Path]:
    """Write a new authority and a certificate of it; return the file of the one and of the other, with its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    ca_file, own_file = folder / "ca.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(os.fspath(ca_file))
    issued.private_key_and_cert_chain_pem.write_to_path(os.fspath(own_file))
    return os.fspath(ca_file), own_file
