"""Being told of changes over a WebSocket (RFC 8887). It carries push only: method calls stay on HTTP.

On HTTP they share its limits, retries and credential refresh, and a large reply does not hold up the news.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Subprotocol

from connectors.api.errors import AuthExpired, ConnectorError, RateLimited, Unavailable, Unsupported
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, TYPES, Pace, parse_state_change
from connectors.jmap.structs import CORE, StateChange
from connectors.jmap.trust import handshake_url
from connectors.transport.messages import shown
from connectors.transport.redaction import excerpt
from connectors.transport.retry_after import parse_retry_after

_log = logging.getLogger(__name__)

SUBPROTOCOL = Subprotocol("jmap")
MAX_MESSAGE_OCTETS = 1 << 20
_CLOSE_TIMEOUT_S = 2.0
_OVERLOADED = frozenset({429, 503})


class _Envelope(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="@type", default="")
    request_id: str | None = msgspec.field(name="requestId", default=None)


class _Answered(enum.Enum):
    """That the probe was answered, by a reply or a refusal of it."""

    ANSWERED = enum.auto()


_ANSWERED = _Answered.ANSWERED
_PROBE = "ready"


class _Connect(connect):
    """Follows no redirects: the library would do so without asking where the credential may go."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketChannel:
    """One connection at a time; remembers the last push state between connections."""

    name = "WebSocket"
    pause_s = 0.0

    def __init__(self, client: JmapClient, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._push_state: str | None = None
        self._ssl: ssl.SSLContext | None = None
        # For debugging the library logs the handshake with the credential in it.
        self._library_log = logging.getLogger(f"{__name__}.frames")
        self._library_log.setLevel(logging.INFO)

    async def listen(self) -> AsyncGenerator[StateChange, None]:
        """Connect and yield what comes; see `Channel.listen`."""
        view = await self._client.refresh()
        capability = view.endpoints.websocket
        if capability is None or not capability.supports_push:
            raise Unsupported("the session names no WebSocket with push")
        connection = await self._connect(capability.url)
        try:
            async with asyncio.timeout(self._pace.silence_s):
                early = await self._enable(connection)
            yield ANYTHING
            for change in early:
                yield change
            while True:
                told = self._understood(await connection.recv())
                if isinstance(told, StateChange):
                    yield told
        except ConnectionClosed as exc:
            raise Unavailable(f"the WebSocket was closed: {_reason(exc)}") from exc
        except (WebSocketException, OSError, TimeoutError) as exc:
            raise Unavailable(f"the WebSocket broke: {type(exc).__name__}") from exc
        finally:
            await connection.close()

    async def _enable(self, connection: ClientConnection) -> list[StateChange]:
        """Turn push on (RFC 8887 section 4.3.5.2) and return what was told while that was under way.

        It is not acknowledged. So something is asked behind it whose answer shows that it has been read: what changes
        from then on is told, and what changed before is found by whoever looks when the channel is open.
        """
        enable: dict[str, object] = {"@type": "WebSocketPushEnable", "dataTypes": list(TYPES)}
        if self._push_state is not None:
            enable["pushState"] = self._push_state
        echo = {"@type": "Request", "id": _PROBE, "using": [CORE], "methodCalls": [["Core/echo", {}, _PROBE]]}
        await connection.send(msgspec.json.encode(enable).decode())
        await connection.send(msgspec.json.encode(echo).decode())
        early: list[StateChange] = []
        while True:
            told = self._understood(await connection.recv())
            if told is _ANSWERED:
                return early
            if isinstance(told, StateChange):
                early.append(told)

    def _understood(self, message: str | bytes) -> StateChange | _Answered | None:
        """Return the change that a message tells of, or that it answers the probe; None if it is nothing to us.

        Raises:
            Unsupported: the server refuses to push.
        """
        if isinstance(message, bytes):
            # A binary frame may be ignored (RFC 8887 section 4.3.1).
            return None
        try:
            envelope = msgspec.json.decode(message, type=_Envelope)
        except (msgspec.MsgspecError, ValueError):
            return None
        if envelope.request_id == _PROBE:
            return _ANSWERED
        if envelope.kind == "RequestError":
            # All else that was asked for is push. A push state that has grown too old is not given again.
            if self._push_state is not None:
                self._push_state = None
                raise Unavailable("the WebSocket does not take the push state back")
            raise Unsupported("the WebSocket refuses to push")
        if envelope.kind != "StateChange":
            return None
        change = parse_state_change(message)
        if change is None:
            _log.debug("the WebSocket sent a state that cannot be read")
            return ANYTHING
        self._push_state = change.push_state or self._push_state
        return change

    # -- the opening handshake ----------------------------------------------------------------------------------------

    async def _connect(self, url: str) -> ClientConnection:
        """Connect with the credential, once more with another if that is refused.

        Raises:
            AuthExpired, Unsupported, RateLimited, Unavailable.
        """
        address = handshake_url(url)
        where = shown(address)
        fields = await self._client.authoriser.headers_for(address)
        connection = await self._handshake(url, fields, where)
        if connection is None:
            if not await self._client.authoriser.refused(fields):
                raise AuthExpired(f"the WebSocket at {where} was answered 401")
            fields = await self._client.authoriser.headers_for(address)
            connection = await self._handshake(url, fields, where)
        if connection is None:
            raise AuthExpired(f"the WebSocket at {where} was answered 401")
        if connection.subprotocol != SUBPROTOCOL:
            await connection.close()
            raise Unsupported(f"the WebSocket at {where} does not speak JMAP")
        return connection

    async def _handshake(self, url: str, fields: Mapping[str, str], where: str) -> ClientConnection | None:
        """Shake hands; None if the credential is refused."""
        try:
            return await _Connect(
                url,
                subprotocols=[SUBPROTOCOL],
                additional_headers=dict(fields),
                user_agent_header=self._client.options.user_agent,
                proxy=self._client.options.proxy,
                open_timeout=self._client.options.connect_timeout_s * 2,
                close_timeout=_CLOSE_TIMEOUT_S,
                # The library's own pings tell a connection that is dead.
                ping_interval=self._pace.ping_s,
                ping_timeout=max(self._pace.silence_s - self._pace.ping_s, 1.0),
                max_size=MAX_MESSAGE_OCTETS,
                logger=self._library_log,
                ssl=self._tls() if url.lower().startswith("wss:") else None,
            )
        except InvalidStatus as exc:
            if exc.response.status_code == 401:
                return None
            raise self._refusal(exc, where) from exc
        except (InvalidHandshake, InvalidURI) as exc:
            raise Unsupported(f"{where} is no WebSocket: {type(exc).__name__}") from exc
        except (WebSocketException, OSError, TimeoutError) as exc:
            raise Unavailable(f"the WebSocket at {where} cannot be reached: {type(exc).__name__}") from exc

    def _refusal(self, exc: InvalidStatus, where: str) -> ConnectorError:
        status = exc.response.status_code
        text = f"the WebSocket at {where} was answered {status}"
        if status in _OVERLOADED:
            delay_s = parse_retry_after(exc.response.headers.get("Retry-After"), self._client.clock.now())
            return RateLimited(text, retry_after_s=delay_s) if delay_s is not None else Unavailable(text)
        return Unavailable(text) if status >= 500 else Unsupported(text)

    def _tls(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = self._client.options.ssl_context()
        return self._ssl


def _reason(exc: ConnectionClosed) -> str:
    """Return the code and the words with which the server closed a connection."""
    return excerpt(str(exc.rcvd).encode()) if exc.rcvd is not None else "connection lost"
