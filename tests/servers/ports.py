"""Ports for servers that cannot choose one themselves and tell.

Between the choice and the server's own bind, and while a server is down, somebody else may take its port, and a client
would talk to the wrong server without knowing. So ports are below those that the system gives to clients and to servers
that ask for any, each is given out once by this process, and no other process of tests gives it out meanwhile: ports
come in blocks, and each block is locked until the process that gives it out ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

_LOWEST = 10_000
_BLOCK = 100
_BLOCKS = 200
"""The system's own begin at 32768, by default (ip(7), ip_local_port_range)."""


def reserved_ports() -> Generator[int, None, None]:
    """Yield ports that no other process reserves until this one ends, or closes the iterator."""
    folder = Path(tempfile.gettempdir()) / f"imap-gateway-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with ExitStack() as locks:
        for number in range(_BLOCKS):
            block = (os.getpid() + number) % _BLOCKS
            lock = locks.enter_context((folder / str(block)).open("ab"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            yield from range(_LOWEST + block * _BLOCK, _LOWEST + (block + 1) * _BLOCK)


_ports = reserved_ports()


def free_port() -> int:
    """Return a loopback port that nothing listens on, and that nobody else is given while this process lives.

    Raises:
        OSError: there is none.
    """
    for port in _ports:
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {_LOWEST} to {_LOWEST + _BLOCK * _BLOCKS - 1} is free")
