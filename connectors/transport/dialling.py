"""Connecting to a host that has several addresses, some of which may lead nowhere (RFC 8305, "Happy Eyeballs").

A loop's own `create_connection` tries one address after the other, and one that never answers takes all the time that
there is; to have it try several at once is not possible on every loop. So the socket is made here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from aiohappyeyeballs import start_connection

ATTEMPT_DELAY_S: Final = 0.25
"""How long an address has before the next is tried beside it (RFC 8305 section 5)."""


async def dial(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the host, not blocking. The caller bounds the time.

    Raises:
        OSError: no address could be had, or none could be reached.
        UnicodeError: that is no host name.
    """
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not addresses:
        raise OSError(f"{host} has no address")
    # Families by turns, the first one's first (section 4).
    return await start_connection(addresses, happy_eyeballs_delay=ATTEMPT_DELAY_S, interleave=1)
