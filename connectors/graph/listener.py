"""Where notifications come in: one HTTP server for each address, shared by the accounts that name it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import uvicorn

from connectors.graph.notifications import Door
from connectors.graph.settings import ListenAddress

MAX_CONNECTIONS: Final = 200
"""At once; above that it answers 503, and Graph comes again."""

KEEP_ALIVE_S: Final = 30
GRACE_S: Final = 1
MAX_HEADER: Final = 16 * 1024

_BACKLOG: Final = 128

_log = logging.getLogger(__name__)


class Listeners:
    """The listeners of one event loop. Each is open for as long as somebody uses it."""

    def __init__(self) -> None:
        self._open: dict[ListenAddress, _Listener] = {}
        self._ending: dict[ListenAddress, _Listener] = {}

    @contextlib.asynccontextmanager
    async def joined(self, address: ListenAddress) -> AsyncIterator[Door]:
        """Listen at an address within the block, together with whoever else does.

        Raises:
            OSError: nobody can listen there.
        """
        while (ending := self._ending.get(address)) is not None:
            await ending.ended()
        listener = self._open.get(address)
        if listener is None:
            listener = self._open[address] = _Listener(address)
        listener.users += 1
        try:
            yield listener.door
        finally:
            listener.users -= 1
            if not listener.users:
                del self._open[address]
                self._ending[address] = listener
                listener.end(lambda: self._ending.pop(address, None))
                await listener.ended()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Listener:
    """A server that runs from the beginning. Raises OSError if it cannot."""

    def __init__(self, address: ListenAddress) -> None:
        self.door = Door()
        self.users = 0
        self._address = address
        self._socket = _listening(address)
        config = uvicorn.Config(
            self.door.application(),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            # Strangers must not be able to fill the log with what is no HTTP.
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=MAX_HEADER,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._serve(), name=f"graph notifications at {address}")

    def end(self, then: Callable[[], object]) -> None:
        """Stop listening soon, and call `then` after it."""
        self._server.should_exit = True
        self._task.add_done_callback(lambda _: then())

    async def ended(self) -> None:
        """Wait until nobody listens any more."""
        await asyncio.wait({self._task})

    async def _serve(self) -> None:
        try:
            await self._server.serve([self._socket])
        except Exception:
            _log.exception("no notifications come in at %s any more", self._address)
        finally:
            self._socket.close()


def _listening(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


# Accounts are built one by one, each knowing nothing of the others, while a port is the process's: this is where they
# meet. An event loop takes its own with it when it goes.
_OF_LOOP: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Listeners]] = weakref.WeakKeyDictionary()


def shared_listeners() -> Listeners:
    """Return the listeners of the running event loop."""
    return _OF_LOOP.setdefault(asyncio.get_running_loop(), Listeners())
