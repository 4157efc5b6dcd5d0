"""A server that answers from a list, and a client of it, for tests of what goes over the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

from connectors.api.credentials import BearerCredential, Credential, Secret
from connectors.graph.client import GraphClient
from connectors.graph.settings import GraphSettings
from tests.connectors.transport.jumping_clock import JumpingClock

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Server(httpx.AsyncBaseTransport):
    """Gives `replies` one after the other, each once; `requests` are those that came."""

    def __init__(self) -> None:
        self.replies: list[Answer] = []
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        assert self.replies, f"{request.method} {request.url} was not expected"
        answer = self.replies.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


class Tokens:
    """Gives out token-1, and the next one once that is refused. `claims` are the challenges it was told of."""

    def __init__(self) -> None:
        self.number = 1
        self.claims: list[str] = []

    async def get(self) -> Credential | None:
        return BearerCredential("", Secret(f"token-{self.number}"))

    async def refused(self, credential: Credential) -> None:
        self.number += 1

    def challenge(self, claims: str) -> None:
        self.claims.append(claims)


def client_of(
    server: httpx.AsyncBaseTransport, clock: JumpingClock, *, tokens: Tokens | None = None, **settings: object
) -> GraphClient:
    """Return a client of the server; `settings` replace the default ones."""
    return GraphClient(
        GraphSettings(**settings),  # type: ignore[arg-type]
        tokens or Tokens(),
        clock=clock,
        transport=server,
        chance=lambda: 0.0,
    )


def refusal(
    status: int,
    code: str,
    message: str = "No.",
    *,
    retry_after: str | None = None,
    request_id: str = "r-0",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Return an error as Graph sends it."""
    given = dict(headers or {}) | ({"Retry-After": retry_after} if retry_after is not None else {})
    body = {"error": {"code": code, "message": message, "innerError": {"request-id": request_id}}}
    return httpx.Response(status, json=body, headers=given)
