"""A proxy that writes down what goes over the wire between a mail client and the gateway, COMPRESS undone."""

from __future__ import annotations

import re
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from tests.e2e.endpoint import Endpoint

_BLOCK = 1 << 16
_COMPRESS = re.compile(rb"(?mi)^([^ \r\n]+) COMPRESS DEFLATE\r\n")


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection so far: what either side has said, with COMPRESS undone, and whether it was in use."""

    sent: str
    received: str
    is_compressed: bool


class Wiretap:
    """Stands in front of an endpoint; a client connects to `endpoint` instead."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._to = endpoint
        self._listener = socket.create_server((endpoint.host, 0))
        self.endpoint = replace(endpoint, port=self._listener.getsockname()[1])
        self._recorded: list[tuple[bytearray, bytearray]] = []
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="wiretap")]
        self._threads[0].start()

    def wires(self) -> list[Wire]:
        """Return the connections so far, oldest first."""
        return [_wire(bytes(sent), bytes(received)) for sent, received in self._recorded]

    def wire(self) -> Wire:
        """Return the only connection so far."""
        (wire,) = self.wires()
        return wire

    def close(self) -> None:
        """End all connections."""
        # Closing a socket does not wake the thread that waits for it.
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._sockets):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._to.host, self._to.port))
                sent, received = bytearray(), bytearray()
                self._recorded.append((sent, received))
                self._sockets += [client, server]
                for source, target, record in ((client, server, sent), (server, client, received)):
                    thread = threading.Thread(target=_carry, args=(source, target, record), name="wiretap")
                    self._threads.append(thread)
                    thread.start()


@contextmanager
def wiretap(endpoint: Endpoint) -> Iterator[Wiretap]:
    """Tap the wire to an endpoint inside the block."""
    tap = Wiretap(endpoint)
    try:
        yield tap
    finally:
        tap.close()


def _carry(source: socket.socket, target: socket.socket, record: bytearray) -> None:
    with suppress(OSError):
        while block := source.recv(_BLOCK):
            # First, so that whatever a client has been told is on record.
            record += block
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


def _wire(sent: bytes, received: bytes) -> Wire:
    command = _COMPRESS.search(sent)
    answer = re.search(rb"(?m)^%b OK [^\r\n]*\r\n" % re.escape(command[1]), received) if command else None
    if command is None or answer is None:
        return Wire(_text(sent), _text(received), is_compressed=False)
    return Wire(
        _text(sent[: command.end()] + _inflated(sent[command.end() :])),
        _text(received[: answer.end()] + _inflated(received[answer.end() :])),
        is_compressed=True,
    )


def _inflated(data: bytes) -> bytes:
    # RFC 4978 section 3: raw deflate, without the header and checksum of zlib.
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
