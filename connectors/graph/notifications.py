"""The door at which Graph tells of changes: proves that it is there, and takes notifications for those who wait.

Anybody on the Internet may come to it. What does not name a subscription and its secret is counted, and has no effect;
what does is a hint only, and nothing of it but the subscription is used.
Source: Graph's page "Receive change notifications through webhooks".
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connectors.graph.structs import Notification, Notifications

MAX_OCTETS: Final = 256 * 1024
"""Of one post, which may tell of many changes; one of them takes about 700 octets."""

MAX_TOKEN: Final = 2048
"""Characters of a validation token."""

BODY_S: Final = 10.0
"""How long a post may take to come in."""

_log = logging.getLogger(__name__)

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Taker:
    """Who waits for the notifications of one subscription. `tell` must not block and not raise."""

    client_state: str
    tell: Callable[[Notification], None]


class Door:
    """The notifications of any number of accounts, told apart by the subscription.

    `counts` are how many were `taken`, and how many were not, as being of an `unknown` subscription, without its secret
    (`forged`), or no notifications at all (`garbage`). `since` is when somebody came to wait first.
    """

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.counts: Counter[str] = Counter()
        self._takers: dict[str, Taker] = {}

    def admit(self, subscription_id: str, taker: Taker) -> None:
        """Let a subscription's notifications through to the taker."""
        self._takers[subscription_id] = taker

    def dismiss(self, subscription_id: str) -> None:
        """Let them through no longer."""
        self._takers.pop(subscription_id, None)

    def knows(self, subscription_id: str) -> bool:
        """Whether somebody waits for notifications of the subscription."""
        return subscription_id in self._takers

    def application(self) -> Starlette:
        """Return the web application. The path does not matter: a proxy may have changed it."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            # Whoever asks for it gets it back, as plain text and nothing else.
            if len(token) > MAX_TOKEN:
                return self._garbage(400)
            return PlainTextResponse(token, headers=_HEADERS)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except TimeoutError:
            return self._garbage(408)
        except ClientDisconnect:
            return self._garbage(400)
        if body is None:
            return self._garbage(413)
        try:
            told = msgspec.json.decode(body, type=Notifications)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._garbage(400)
        for notification in told.value:
            self._pass(notification)
        # Also for what nobody took: Graph would come again with it for hours.
        return Response(status_code=202, headers=_HEADERS)

    def _pass(self, notification: Notification) -> None:
        taker = self._takers.get(notification.subscription_id)
        if taker is None:
            # One that has ended, perhaps: they go on for a moment.
            self._count("unknown")
        elif not hmac.compare_digest((notification.client_state or "").encode(), taker.client_state.encode()):
            self._count("forged")
        else:
            self.counts["taken"] += 1
            taker.tell(notification)

    def _garbage(self, status: int) -> Response:
        self._count("garbage")
        return Response(status_code=status, headers=_HEADERS)

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        count = self.counts[kind]
        # The first, the tenth, the hundredth: strangers must not be able to fill the log.
        if str(count).strip("0") == "1":
            _log.info("notifications as if from Graph that were ignored as %s: %d", kind, count)


async def _body(request: Request) -> bytes | None:
    """Return what was posted, None if that is too much."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_OCTETS:
            return None
    return bytes(body)
