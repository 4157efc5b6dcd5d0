"""Ports for servers that cannot choose one themselves and tell.

Between the choice and the server's own bind somebody else may take a port, and a client would talk to the wrong server
without knowing. So ports are below those that the system gives to clients and to servers that ask for any, each is
given out once by this process, and other processes begin elsewhere.
"""

from __future__ import annotations

import itertools
import os
import socket

_LOWEST = 10_000
_COUNT = 20_000
"""The system's own begin at 32768, by default (ip(7), ip_local_port_range)."""

_STRIDE = 127
"""Ports between the beginnings of two processes that were started one after the other."""

_numbers = itertools.count()


def free_port() -> int:
    """Return a loopback port that nothing listens on, and that this process has not given out before.

    Raises:
        OSError: there is none.
    """
    for _ in range(_COUNT):
        port = _LOWEST + (os.getpid() * _STRIDE + next(_numbers)) % _COUNT
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {_LOWEST} to {_LOWEST + _COUNT - 1} is free")
