"""A client that does nothing but send a command and read up to its tagged line, so that it costs next to nothing."""

from __future__ import annotations

import socket
import ssl

_BLOCK = 1 << 18
_TAG = b"b7q"
_LONGEST_TAGGED = 8192
_TIMEOUT_S = 600.0


class BenchClient:
    """One connection. Answers are counted and thrown away, but for `answer`."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if tls is None else tls.wrap_socket(plain, server_hostname="localhost")
        self._line()

    def command(self, command: bytes) -> int:
        """Send a command and return the octets of its answer.

        Raises:
            RuntimeError: the answer is not OK, or the connection was closed.
        """
        self.send(command)
        octets = 0
        tail = b""
        while True:
            block = self._receive(command)
            octets += len(block)
            # The tagged line is the last one of an answer and is shorter than this.
            tail = (tail + block)[-_LONGEST_TAGGED:]
            if _is_complete(tail, command):
                return octets

    def answer(self, command: bytes) -> bytes:
        """Send a command and return its whole answer, tagged line included; for what is not timed.

        Raises:
            RuntimeError: the answer is not OK, or the connection was closed.
        """
        self.send(command)
        blocks: list[bytes] = []
        tail = b""
        while True:
            block = self._receive(command)
            blocks.append(block)
            tail = (tail + block)[-_LONGEST_TAGGED:]
            if _is_complete(tail, command):
                return b"".join(blocks)

    def send(self, command: bytes) -> None:
        """Send a command; its answer is to be read by `wait_for` or by whoever owns the socket."""
        self._socket.sendall(_TAG + b" " + command + b"\r\n")

    def is_answered(self, tail: bytes) -> bool:
        """Whether the octets, the last that were read, end the answer to what was sent.

        Raises:
            RuntimeError: they do, but it is not OK.
        """
        return _is_complete(tail, b"a command")

    def wait_for(self, text: bytes) -> None:
        """Read until a line that contains `text` has come.

        Raises:
            RuntimeError: the connection was closed.
        """
        while text not in self._line():
            pass

    @property
    def socket(self) -> socket.socket:
        """The connection itself, for those who wait for many at a time."""
        return self._socket

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self, command: bytes) -> bytes:
        block = self._socket.recv(_BLOCK)
        if not block:
            raise RuntimeError(f"the connection was closed during {command[:60]!r}")
        return block

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            octet = self._socket.recv(1)
            if not octet:
                raise RuntimeError(f"the connection was closed after {line[:60]!r}")
            line += octet
        return line


def _is_complete(tail: bytes, command: bytes) -> bool:
    """Whether the answer ends with these octets.

    Raises:
        RuntimeError: it does, but it is not OK.
    """
    if not tail.endswith(b"\r\n"):
        return False
    last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    if not last.startswith(_TAG):
        return False
    if not last.startswith(_TAG + b" OK"):
        raise RuntimeError(f"{command[:60]!r}: {last.strip().decode('ascii', 'replace')}")
    return True
