"""Connecting to a host that has several addresses, some of which may lead nowhere (RFC 8305, "Happy Eyeballs").

A loop's own `create_connection` tries one address after the other, and one that never answers takes all the time that
there is. So the next is tried soon beside it, and who answers first is taken.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

ATTEMPT_DELAY_S: Final = 0.25
"""How long an address has before the next is tried beside it (RFC 8305 section 5)."""

Address = tuple[int, int, int, Any]
"""Family, type, protocol, and what `socket.connect` takes."""


async def dial(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the host, not blocking. The caller bounds the time.

    Raises:
        OSError: no address could be had, or none could be reached.
        UnicodeError: that is no host name.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    waiting = list(_alternating([(family, kind, protocol, address) for family, kind, protocol, _, address in found]))
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connected(waiting.pop(0))))
            delay_s = ATTEMPT_DELAY_S if waiting else None
            done, _ = await asyncio.wait(running, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    running.discard(task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                running.discard(task)
                failure = failure or error
    finally:
        await _abandon(running)
    raise failure or OSError(f"{host} has no address")


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _abandon(running: Iterable[asyncio.Task[socket.socket]]) -> None:
    """End the other attempts, and close what has come of them."""
    tasks = list(running)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()


def _alternating(addresses: Sequence[Address]) -> Iterable[Address]:
    """Return them with the families by turns, the first one's first (RFC 8305 section 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return (each for each in chain.from_iterable(zip_longest(first, others)) if each is not None)
