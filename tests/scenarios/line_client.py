"""A client that sends octets as it is told and reads lines, each wait bounded."""

from __future__ import annotations

import asyncio
import ssl

PATIENCE_S = 10.0
"""No line takes so long, however busy the machine is."""


class LineClient:
    """One connection. Lines are given and taken with CRLF left off; a literal's octets are lines like others."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> LineClient:
        """Connect to the loopback port, with TLS from the start if given."""
        async with asyncio.timeout(PATIENCE_S):
            name = "localhost" if tls is not None else None
            return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name, limit=1 << 22))

    def write(self, data: bytes) -> None:
        """Send octets, in one write."""
        self.writer.write(data)

    async def line(self) -> bytes:
        """Return the next line.

        Raises:
            EOFError: the server has closed the connection; what it sent of a line is in the text.
        """
        async with asyncio.timeout(PATIENCE_S):
            data = await self.reader.readline()
        if not data.endswith(b"\r\n"):
            raise EOFError(data.decode("utf-8", "replace"))
        return data[:-2]

    async def expect(self, beginning: bytes) -> bytes:
        """Return the next line, which must begin like that."""
        line = await self.line()
        assert line.startswith(beginning), line
        return line

    async def lines_to(self, beginning: bytes) -> list[bytes]:
        """Return the next lines up to and including the one that begins like that."""
        lines = [await self.line()]
        while not lines[-1].startswith(beginning):
            lines.append(await self.line())
        return lines

    async def ask(self, command: bytes) -> list[bytes]:
        """Send a command, its tag in front, and return the lines up to its tagged answer."""
        self.write(command + b"\r\n")
        return await self.lines_to(command.partition(b" ")[0] + b" ")

    async def at_end(self) -> bool:
        """Say whether the server has closed the connection, with nothing left to read."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass
