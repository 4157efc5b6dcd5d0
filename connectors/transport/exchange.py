"""One request and its reply on one connection: bounded in time and memory, and without the errors of httpx."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from connectors.api.types import BytesContent
from connectors.transport.decoding import ACCEPTED, PIECE_OCTETS, BadCoding, Decoder
from connectors.transport.messages import Content, Headers, shown
from connectors.transport.origins import Origin
from connectors.transport.redaction import excerpt
from connectors.transport.retry import AttemptFailed, Trouble

LEAST_OCTETS = 1024
"""A reply that brings less than this within the time-out counts as silent, so that a trickle does not hold a place."""

_NO_TLS = "WRONG_VERSION_NUMBER"
"""How OpenSSL calls an answer that is no TLS record at all."""

_UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A request as it goes out, and the bounds of its exchange in seconds and octets."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: Content
    content_octets: int | None
    connect_timeout_s: float
    timeout_s: float
    is_whole: bool
    is_long_lived: bool = False
    secrets: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        return f"{self.method} {shown(self.url)}"

    def build(self, progress: _Progress) -> httpx.Request:
        """Return the request for httpx.

        Raises:
            ValueError: a header or the address cannot be sent.
        """
        coding = ACCEPTED if self.is_whole else "identity"
        headers = {"Accept": "*/*", "Accept-Encoding": coding, **self.headers}
        timeouts = {"connect": self.connect_timeout_s, "read": self.timeout_s, "write": self.timeout_s, "pool": None}
        content: bytes | _Upload | None
        if callable(self.content):
            content = progress.upload = _Upload(self, self.content, self.content_octets, progress)
            if self.content_octets is not None:
                headers["Content-Length"] = str(self.content_octets)
        elif self.content is not None and len(self.content) > PIECE_OCTETS:
            # In pieces, so that a slow line is seen to move.
            content = _Upload(self, BytesContent(self.content).chunks, None, progress)
            headers["Content-Length"] = str(len(self.content))
        else:
            content = self.content
        extensions = {"timeout": timeouts, "trace": progress.trace}
        return httpx.Request(self.method, self.url, headers=headers, content=content, extensions=extensions)


class _Progress:
    """What an exchange has come to, and the moment by which something more has to happen."""

    def __init__(self, outgoing: Outgoing, on_begun: Callable[[str], None] | None) -> None:
        self._timeout_s = outgoing.timeout_s
        # httpcore ends a connection attempt in time itself; this is for whatever else it waits for until then.
        self._limit_s = 2 * outgoing.connect_timeout_s + 1.0
        self._on_begun = on_begun
        self._bound: asyncio.Timeout | None = None
        self._is_traced = False
        self._has_begun = False
        self._unfinished: Any = None
        self.upload: _Upload | None = None

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """End the block with TimeoutError once nothing has happened for the time-out."""
        async with asyncio.timeout(self._limit_s) as bound:
            self._bound = bound
            try:
                yield
            except BaseException:
                await self._drop_unfinished()
                raise
            finally:
                self._bound = None

    def move(self) -> None:
        """Take note that something has happened."""
        if self._bound is not None and not self._bound.expired():
            self._bound.reschedule(asyncio.get_running_loop().time() + self._limit_s)

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Hear of a step, as the `trace` extension of httpcore tells it."""
        self._is_traced = True
        if event == "connection.connect_tcp.complete":
            self._unfinished = info.get("return_value")
        elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self._has_begun, self._unfinished, self._limit_s = True, None, self._timeout_s
            if self._on_begun is not None:
                self._on_begun(event.partition(".")[0])
        self.move()

    async def _drop_unfinished(self) -> None:
        """Close a connection that was cut off in its TLS handshake, which httpcore forgets."""
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is not None:
            with contextlib.suppress(Exception):
                await unfinished.aclose()

    def trouble(self, exc: Exception) -> Trouble:
        """Return what an exception of the exchange means."""
        is_silence = isinstance(exc, (httpx.TimeoutException, TimeoutError))
        if isinstance(exc, httpx.ProxyError):
            return Trouble.UNREACHABLE
        if not self._has_begun and (isinstance(exc, _UNREACHED) or (is_silence and self._is_traced)):
            return Trouble.UNREACHABLE
        if self._is_traced and not self._has_begun:
            return Trouble.UNSENT
        return Trouble.SILENT if is_silence else Trouble.LOST


class _Upload:
    """A streamed body. What its source raises is kept apart from what the connection raises."""

    def __init__(
        self,
        outgoing: Outgoing,
        source: Callable[[], AsyncIterator[bytes]],
        promised: int | None,
        progress: _Progress,
    ) -> None:
        self._outgoing = outgoing
        self._source = source
        self._promised = promised
        self._progress = progress
        self._running: AsyncIterator[bytes] | None = None
        self.error: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.close()
        octets = 0
        self._running = pieces = self._source()
        while True:
            try:
                piece = await anext(pieces, None)
                octets += len(piece or b"")
                self._check(octets, is_end=piece is None)
            except Exception as exc:
                self.error = exc
                raise
            if piece is None:
                return
            self._progress.move()
            for start in range(0, len(piece), PIECE_OCTETS):
                yield piece[start : start + PIECE_OCTETS]
                self._progress.move()

    def _check(self, octets: int, *, is_end: bool) -> None:
        """Raise AttemptFailed if the source gives other than it promised: what went out is not a whole request then."""
        promised = self._promised
        if promised is not None and (octets > promised or (is_end and octets < promised)):
            text = f"{self._outgoing.what}: the body has {octets} octets where {promised} were promised"
            raise AttemptFailed(Trouble.UNUSABLE, text)

    async def close(self) -> None:
        """End the source, wherever it is."""
        running, self._running = self._running, None
        if isinstance(running, AsyncGenerator):
            with contextlib.suppress(RuntimeError):
                await running.aclose()


class Answer:
    """The reply of one exchange, its body not read yet. To be closed."""

    def __init__(self, outgoing: Outgoing, response: httpx.Response, progress: _Progress) -> None:
        self.outgoing = outgoing
        self.status = response.status_code
        self.headers = Headers(response.headers.multi_items())
        self.version = response.extensions.get("http_version", b"").decode("ascii", "replace")
        self.network_stream: Any = response.extensions.get("network_stream")
        self._response = response
        self._progress = progress
        self._body: bytes | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, decompressed, in pieces of at most 64 KiB. Once only.

        Raises:
            AttemptFailed: it broke off, stalled, or is not in the coding it should be in.
        """
        try:
            decoder = Decoder(self.headers.get("content-encoding", ""))
            async with contextlib.aclosing(self._received()) as received:
                async for data in received:
                    for piece in decoder.feed(data):
                        yield piece
            decoder.finish()
        except BadCoding as exc:
            raise AttemptFailed(Trouble.UNUSABLE, f"{self.outgoing.what} gave {exc}") from exc

    async def read(self, limit: int, within_s: float) -> bytes:
        """Return the whole body.

        Raises:
            AttemptFailed: as `pieces`, or it is longer than `limit` octets, or takes longer than `within_s`.
        """
        if self._body is None:
            declared = self.headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > limit and self.outgoing.method != "HEAD":
                raise self._too_long(limit)
            body = bytearray()
            try:
                async with asyncio.timeout(within_s), contextlib.aclosing(self.pieces()) as pieces:
                    async for piece in pieces:
                        body += piece
                        if len(body) > limit:
                            raise self._too_long(limit)
            except TimeoutError as exc:
                text = f"{self.outgoing.what} gave a reply that took longer than {within_s:g} s"
                raise AttemptFailed(Trouble.SILENT, text) from exc
            self._body = bytes(body)
        return self._body

    async def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end. Never raises."""
        with contextlib.suppress(Exception):
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()
        with contextlib.suppress(Exception):
            await self._response.aclose()

    async def _received(self) -> AsyncGenerator[bytes, None]:
        """Yield what the connection brings, each wait bounded."""
        loop = asyncio.get_running_loop()
        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        self._pieces = pieces = stream.__aiter__()
        allowance, brought = self.outgoing.timeout_s, 0
        while True:
            started = loop.time()
            try:
                async with asyncio.timeout(allowance):
                    data = await anext(pieces, None)
            except Exception as exc:  # as in `exchange`
                raise broken(self.outgoing, exc, self._progress) from exc
            if data is None:
                return
            allowance -= loop.time() - started
            brought += len(data)
            if brought >= LEAST_OCTETS or self.outgoing.is_long_lived:
                allowance, brought = self.outgoing.timeout_s, 0
            yield data

    def _too_long(self, limit: int) -> AttemptFailed:
        return AttemptFailed(Trouble.UNUSABLE, f"{self.outgoing.what} gave a reply of more than {limit} octets")


async def exchange(
    transport: httpx.AsyncBaseTransport, outgoing: Outgoing, on_begun: Callable[[str], None] | None = None
) -> Answer:
    """Send a request and return the reply once its header is there.

    `on_begun` is called with `http2` or `http11` when a connection is there and the request begins to go out.

    Raises:
        AttemptFailed: no reply came.
        Anything that the source of a streamed body raises.
    """
    progress = _Progress(outgoing, on_begun)
    try:
        request = outgoing.build(progress)
        is_meant = _origin(request.url) == Origin.of(outgoing.url)
    except (httpx.InvalidURL, ValueError, TypeError):
        # Not chained: the message may show the header or the query string.
        raise AttemptFailed(Trouble.UNREACHABLE, f"{outgoing.what} cannot be put into HTTP") from None
    if not is_meant:
        # The credential was chosen by one reading of the address, and httpx has another.
        raise AttemptFailed(Trouble.UNREACHABLE, f"{outgoing.what} has an ambiguous address")
    try:
        async with progress.watched():
            response = await transport.handle_async_request(request)
    except Exception as exc:  # httpx means to translate, yet exceptions of h11, h2, anyio and ssl get past it
        if progress.upload is not None and progress.upload.error is not None:
            raise progress.upload.error from None
        raise broken(outgoing, exc, progress) from exc
    finally:
        if progress.upload is not None:
            await progress.upload.close()
    return Answer(outgoing, response, progress)


def _origin(url: httpx.URL) -> Origin:
    return Origin.of(f"{url.scheme}://{url.netloc.decode('ascii')}")


def broken(outgoing: Outgoing, exc: Exception, progress: _Progress) -> AttemptFailed:
    """Return the failure for an exception of the connection."""
    trouble = progress.trouble(exc)
    if trouble is Trouble.SILENT:
        return AttemptFailed(trouble, f"{outgoing.what}: nothing happened for {outgoing.timeout_s:g} s")
    if isinstance(exc, (httpx.TimeoutException, TimeoutError)):
        return AttemptFailed(trouble, f"{outgoing.what}: no connection within {outgoing.connect_timeout_s:g} s")
    if _NO_TLS in str(exc):
        return AttemptFailed(trouble, f"{outgoing.what}: what answers on that port does not speak TLS")
    reason = excerpt(str(exc).encode(), outgoing.secrets) or "no reason given"
    return AttemptFailed(trouble, f"{outgoing.what}: {type(exc).__name__}: {reason}")
