"""The stand-in on a loopback port, in the process of a test or in its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import uvicorn

from tests.fakes.gmail.app import application
from tests.fakes.gmail.fake import FakeGmail

_GRACE_S = 1


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running stand-in answers. `api_root` has no slash at its end, and serves Gmail and Pub/Sub alike."""

    api_root: str

    @property
    def token_uri(self) -> str:
        """OAuth's token endpoint."""
        return f"{self.api_root}/token"

    @property
    def auth_uri(self) -> str:
        """OAuth's authorisation endpoint."""
        return f"{self.api_root}/o/oauth2/v2/auth"

    @property
    def revoke_uri(self) -> str:
        """OAuth's revocation endpoint."""
        return f"{self.api_root}/revoke"


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running_fake(fake: FakeGmail, port: int = 0) -> AsyncIterator[Endpoints]:
    """Serve `fake` on 127.0.0.1 while the block runs; port 0 takes a free one. Raises OSError if it is taken.

    The state is the fake's: served again after a while, on the same port, it is a server that was down.
    """
    fake.pubsub.open()
    # asyncio switches Nagle's algorithm off only where the protocol is named; without it each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
        config = uvicorn.Config(
            application(fake),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
            ws="none",
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve([listening]), name="fake gmail")
        try:
            yield Endpoints(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            fake.pubsub.close()
            server.should_exit = True
            await task
