"""What the tests of the HTTP client share: servers without a network, requests, and clients that do not wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, Secret
from connectors.api.errors import ConnectorError
from connectors.transport.authorise import Authoriser, CredentialAuthoriser, NoAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.limits import QuotaBudget
from connectors.transport.messages import Effect, Reply, Request
from connectors.transport.options import TransportOptions
from tests.connectors.transport.jumping_clock import JumpingClock

URL = "https://api.example.com/jmap"
EFFECTS = tuple(Effect)


class Server(httpx.MockTransport):
    """Gives the replies in order, the last one for ever; an exception is raised in place of a reply."""

    def __init__(self, *replies: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__(self._reply)
        self.requests: list[httpx.Request] = []
        self._replies = list(replies)

    async def _reply(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            return reply(request)
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def credentials(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.requests]


class GatedServer(httpx.AsyncBaseTransport):
    """Answers 200 once the gate is open; `most` is how many were there at a time, `order` their paths."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.here = 0
        self.most = 0
        self.order: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.order.append(request.url.path)
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            await self.gate.wait()
        finally:
            self.here -= 1
        return httpx.Response(200)


def ok(body: bytes = b"fine", **headers: str) -> httpx.Response:
    return httpx.Response(200, content=body, headers=headers)


def status(code: int, body: bytes = b"", **headers: str) -> httpx.Response:
    return httpx.Response(code, content=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def request(effect: Effect = Effect.READ, url: str = URL, method: str = "POST", **more: Any) -> Request:
    return Request(method, url, effect=effect, **{"content": b"body", **more})


def bearer(token: str = "hunter2", *allowed: str) -> CredentialAuthoriser:
    source = FixedCredential(BearerCredential("jo", Secret(token)))
    return CredentialAuthoriser(source, allowed or ["api.example.com"])


@contextlib.asynccontextmanager
async def client_of(
    transport: httpx.AsyncBaseTransport | None,
    *,
    authorise: Authoriser | None = None,
    clock: JumpingClock | None = None,
    budget: QuotaBudget | None = None,
    **options: Any,
) -> AsyncIterator[HttpClient]:
    made = HttpClient(
        "account",
        authorise or NoAuthoriser(),
        TransportOptions(**options),
        clock=clock or JumpingClock(),
        transport=transport,
        budget=budget,
        chance=lambda: 0.0,
    )
    try:
        yield made
    finally:
        assert made.limit.held == 0 or made._is_closed
        await made.close()
        await made.close()


async def outcome(server: httpx.AsyncBaseTransport, sent: Request, **options: Any) -> Reply | ConnectorError:
    async with client_of(server, **options) as client:
        try:
            return await client.request(sent)
        except ConnectorError as exc:
            return exc


class TokenSource:
    """Hands out `token-N`, the next N after each refusal, up to `last`."""

    def __init__(self, last: int = 99) -> None:
        self.number = 1
        self.last = last
        self.refusals = 0

    async def get(self) -> Credential | None:
        await asyncio.sleep(0)
        return BearerCredential("jo", Secret(f"token-{self.number}"))

    async def refused(self, credential: Credential) -> None:
        await asyncio.sleep(0)
        self.refusals += 1
        self.number = min(self.number + 1, self.last)
