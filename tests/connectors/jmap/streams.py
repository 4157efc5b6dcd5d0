"""A server on loopback whose event source does what the test says, stream by stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.api.credentials import FixedCredential
from connectors.jmap.client import JmapClient
from connectors.jmap.events import Pace
from connectors.jmap.settings import JmapSettings, PushKind
from tests.connectors.jmap.offline import PASSWORD, session_document

QUICK = Pace(ping_s=60, silence_s=0.4, buffered_s=20.0, first_s=0.001, longest_s=0.01, steady_s=60)
"""For tests: what is silent is given up soon, and opened anew at once."""


class Stream:
    """One request to the event source, and what is sent in reply."""

    def __init__(self, target: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        self.headers = headers
        self._writer = writer

    async def begin(self, kind: str = "text/event-stream") -> None:
        await self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n")

    async def refuse(self, status: int, fields: str = "") -> None:
        await self.send(f"HTTP/1.1 {status} No\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n")

    async def state(self, changed: dict[str, Any], id: str = "") -> None:
        data = json.dumps({"@type": "StateChange", "changed": changed})
        await self.send(f"event: state\ndata: {data}\n" + (f"id: {id}\n\n" if id else "\n"))

    async def send(self, text: str) -> None:
        self._writer.write(text.encode())
        await self._writer.drain()

    async def hang(self) -> None:
        """Keep the stream open until the client leaves."""
        await self._writer.wait_closed()


Script = Callable[[Stream], Awaitable[None]]


class EventServer:
    """Runs one script for each stream, and the last one again for all that follow. `streams` holds them all."""

    def __init__(self, scripts: list[Script], session: dict[str, Any]) -> None:
        self.streams: list[Stream] = []
        self.url = ""
        self._scripts = scripts
        self._session = session

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            target = head[0].split(" ")[1]
            if target.startswith("/events"):
                fields = (line.partition(":") for line in head[1:] if line)
                stream = Stream(target, {name.lower(): value.strip() for name, _, value in fields}, writer)
                self.streams.append(stream)
                await self._scripts[min(len(self.streams), len(self._scripts)) - 1](stream)
            else:
                body = json.dumps(self._session)
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def event_server(*scripts: Script, **session: Any) -> AsyncIterator[EventServer]:
    """Run a server with these streams; its session document has the given properties."""
    door = EventServer(list(scripts), session_document(**session))
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    door.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/session"
    try:
        yield door
    finally:
        server.close()


@asynccontextmanager
async def client_of(url: str, push: PushKind = PushKind.EVENT_SOURCE) -> AsyncIterator[JmapClient]:
    """Open a client of the server."""
    client = JmapClient(JmapSettings(url=url, push=push), FixedCredential(PASSWORD))
    await client.open()
    try:
        yield client
    finally:
        await client.close()
