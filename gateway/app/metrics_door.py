"""The address where metrics are read: `GET /metrics`, over HTTP, for a monitoring system on a trusted network.

Nothing but this one page is served, and nothing of what a client sends is kept, so the few lines of HTTP that it takes
stand here instead of a server framework's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from gateway.errors import OperatorError
from gateway.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

_REQUEST_OCTETS = 8192
_REQUEST_S = 10.0


class MetricsDoor:
    """Listens for requests; `listen` once, `close` at the end."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> list[tuple[str, int]]:
        """Begin to listen; return the addresses. An empty host means all of them.

        Raises:
            OperatorError: the address cannot be listened on.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host or None, port, limit=_REQUEST_OCTETS)
        except OSError as exc:
            raise OperatorError(f"cannot be listened on: {exc.strerror or exc}", key="metrics.bind") from exc
        return [socket.getsockname()[:2] for socket in self._server.sockets]

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A client that asks for nothing in time, or for too much, gets nothing.
            pass
        except Exception:
            log.exception("metrics could not be told")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            return _response("404 Not Found", b"metrics are at /metrics\n")
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"metrics are read with GET\n", "Allow: GET, HEAD\r\n")
        page = self._metrics.render()
        answer = _response("200 OK", page, content_type=CONTENT_TYPE)
        return answer.removesuffix(page) if method == b"HEAD" else answer


def _response(status: str, body: bytes, fields: str = "", content_type: str = "text/plain") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{fields}"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
