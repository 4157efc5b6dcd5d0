"""A client that does nothing but send a command and read up to its tagged line, so that it costs next to nothing."""

from __future__ import annotations

import socket

_BLOCK = 1 << 18
_TAG = b"b7q"


class BenchClient:
    """One connection. Answers are counted and thrown away."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read_line()

    def command(self, command: bytes) -> int:
        """Send a command and return the octets of its answer.

        Raises:
            RuntimeError: the answer is not OK.
        """
        self._socket.sendall(_TAG + b" " + command + b"\r\n")
        octets = 0
        tail = b""
        while True:
            block = self._socket.recv(_BLOCK)
            if not block:
                raise RuntimeError(f"the connection was closed during {command[:60]!r}")
            octets += len(block)
            # The tagged line is the last one of an answer and is shorter than this.
            tail = (tail + block)[-8192:]
            if tail.endswith(b"\r\n"):
                last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
                if last.startswith(_TAG):
                    if not last.startswith(_TAG + b" OK"):
                        raise RuntimeError(f"{command[:60]!r}: {last!r}")
                    return octets

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read_line(self) -> None:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._socket.recv(_BLOCK)
