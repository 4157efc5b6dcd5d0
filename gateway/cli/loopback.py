"""Where a browser is sent back to after a login: an HTTP server on the loopback interface (RFC 8252 section 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

_HEADER_OCTETS = 16 * 1024
_PATIENCE_S = 10.0

_GOOD = "The login has come back to imap-gateway. Go on at the terminal; this page may be closed."
_BAD = "This is not the login that imap-gateway waits for."


@dataclass(frozen=True, slots=True)
class Loopback:
    """A server that waits for one request. `redirect_uri` is where it is reached; `answer` is the URL once it came."""

    redirect_uri: str
    answer: asyncio.Future[str]


@contextlib.asynccontextmanager
async def waiting_for_browser(port: int, is_answer: Callable[[str], bool]) -> AsyncIterator[Loopback]:
    """Serve on 127.0.0.1 within the block; `port` 0 is a free one.

    The first request whose URL `is_answer` holds for is the answer. Any other page or program on this machine may ask
    too; it is turned away.

    Raises:
        OSError: the port is taken.
    """
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    origin = ""
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                target = _target(await reader.readuntil(b"\r\n\r\n"))
                is_good = target is not None and is_answer(f"{origin}{target}")
                writer.write(_page("200 OK", _GOOD) if is_good else _page("400 Bad Request", _BAD))
                await writer.drain()
            if is_good and not answer.done():
                answer.set_result(f"{origin}{target}")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_HEADER_OCTETS)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield Loopback(origin, answer)
    finally:
        server.close()
        # Browsers open connections to have them at hand.
        for writer in open_writers:
            writer.close()
        await server.wait_closed()


def _target(header: bytes) -> str | None:
    """Return path and query string of a GET; None of anything else."""
    words = header.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return words[1] if len(words) == 3 and words[0] == "GET" and words[1].startswith("/") else None


def _page(status: str, text: str) -> bytes:
    body = f"<!DOCTYPE html><meta charset=utf-8><title>imap-gateway</title><p>{text}</p>\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        # The address of this page holds a code: it must not be told to anybody.
        "Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
