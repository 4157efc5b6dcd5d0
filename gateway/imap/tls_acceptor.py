"""Connections that begin with TLS: counted when they are accepted, and not only once they have shaken hands.

A handshake costs more than anything else a stranger can ask for, and one that stalls holds a socket for its whole
time-out. The loop's own listeners tell of a connection when its handshake is done; here it is admitted before.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from gateway.imap.peer import peer_address

log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 64
"""Connections taken in one turn of the loop; others wait in the backlog of the socket."""

FULL_PAUSE_S = 1.0
"""How long nothing is accepted after the process has run out of file descriptors or memory."""

_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TlsAcceptor:
    """Accepts on one listening socket.

    `admit` is asked, with the address, for each connection before anything is spent on it; what it refuses is closed.
    `release` is called for what was admitted and failed its handshake. All else is the business of the protocol that
    `make_protocol` makes, given the address; it is told of the connection when its handshake is done.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[str], asyncio.Protocol],
        *,
        admit: Callable[[str], bool],
        release: Callable[[str], None],
        handshake_timeout_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._context = context
        self._make_protocol = make_protocol
        self._admit = admit
        self._release = release
        self._handshake_timeout_s = handshake_timeout_s
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self._socket,)

    def close(self) -> None:
        """Stop to listen, and end the handshakes under way. Connections that are made stay."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until `close` has done its work."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                # It has gone already.
                continue
            except OSError as exc:
                if exc.errno not in _FULL:
                    raise
                log.error("cannot accept connections: %s", exc.strerror)
                self._loop.remove_reader(self._socket)
                self._pause = self._loop.call_later(FULL_PAUSE_S, self._go_on)
                return
            address = peer_address(peer)
            if not self._admit(address):
                accepted.close()
                continue
            task = self._loop.create_task(self._shake_hands(accepted, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def _go_on(self) -> None:
        self._loop.add_reader(self._socket, self._accept)

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make_protocol(address),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_timeout_s,
            )
        except (OSError, ssl.SSLError, TimeoutError) as exc:
            log.info("TLS handshake with %s failed: %s", address, exc)
            self._release(address)
        except BaseException:
            self._release(address)
            raise


async def bound_sockets(host: str | None, port: int, backlog: int) -> list[socket.socket]:
    """Return listening sockets for every address of `host`; None means all addresses of this machine.

    Raises:
        OSError: an address cannot be used, or there is none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    try:
        for family, kind, number, _, place in dict.fromkeys(found):
            try:
                sock = socket.socket(family, kind, number)
            except OSError:
                # The machine knows of a family that it does not speak, such as IPv6.
                continue
            made.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(place)
            sock.listen(backlog)
        if not made:
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return made
