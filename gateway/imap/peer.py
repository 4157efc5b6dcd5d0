"""The other end of a connection, as its socket tells."""

from __future__ import annotations

import asyncio
import ipaddress
import socket


def peer_address(peer: object) -> str:
    """Return the address in the name of a socket's peer; `local` where there is none, or it has gone already."""
    if isinstance(peer, tuple) and peer:
        # An IPv4 client on a socket for both families.
        return str(peer[0]).removeprefix("::ffff:")
    return "local"


def is_own_machine(address: str) -> bool:
    """Tell whether an address is that of this machine, so that nobody can listen in."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def tune(transport: asyncio.Transport) -> None:
    """Keep-alive, so that a vanished client is noticed; no delay, so that short answers leave at once."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 300)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60)
