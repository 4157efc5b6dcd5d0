"""Makes a lesser server out of Dovecot: a proxy that hides capabilities and what comes with them.

So the ways the connector goes without an extension are tried on a real server, with everything else as it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.servers.dovecot import Dovecot

CONDSTORE_ONLY = frozenset({"QRESYNC", "MOVE"})
REV1_ONLY = frozenset(
    {
        "QRESYNC",
        "CONDSTORE",
        "ENABLE",
        "UIDPLUS",
        "MOVE",
        "ESEARCH",
        "LITERAL+",
        "SASL-IR",
        "ID",
        "NAMESPACE",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "SPECIAL-USE",
        "AUTH=PLAIN",
        "AUTH=LOGIN",
    }
)

_CODES = {
    "UIDPLUS": rb"\[(?:APPENDUID|COPYUID) [^\]]*\] ",
    "CONDSTORE": rb"\[(?:HIGHESTMODSEQ [0-9]+|NOMODSEQ)\] ",
}


@asynccontextmanager
async def lesser_server(dovecot: Dovecot, hidden: frozenset[str]) -> AsyncIterator[int]:
    """Run the proxy; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        upstream_reader, upstream_writer = await asyncio.open_connection(dovecot.host, dovecot.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_commands(reader, upstream_writer))
                group.create_task(_pass_responses(upstream_reader, writer, hidden))
        except* OSError:
            pass
        finally:
            writer.close()
            upstream_writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_commands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _pass_responses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hidden: frozenset[str]) -> None:
    pending = b""
    while data := await reader.read(65536):
        lines = (pending + data).splitlines(keepends=True)
        pending = b"" if lines[-1].endswith(b"\n") or len(lines[-1]) > 2000 else lines.pop()
        writer.write(b"".join(_lessen(line, hidden) for line in lines))
        await writer.drain()
    writer.write(pending)
    writer.close()


def _lessen(line: bytes, hidden: frozenset[str]) -> bytes:
    if not re.match(rb"(?:\* (?:OK|CAPABILITY)|[A-Z0-9]+ OK) ", line):
        return line
    for name, pattern in _CODES.items():
        if name in hidden:
            line = re.sub(pattern, b"", line)
    if b"CAPABILITY " in line:
        line = re.sub(rb" ([A-Z0-9=+\-]+)(?=[ \]\r])", lambda m: b"" if m[1].decode() in hidden else m[0], line)
    return line
