"""Change notifications: handshake, what is posted, renewal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.fakes.graph.client import mail
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.server import running_graph


class _Endpoint:
    """An address that takes notifications; `answers` is what it says to a handshake, None for the token."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.answers: str | None = None
        self.url = "http://127.0.0.1:1/hook"

    async def _hook(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            return PlainTextResponse(token if self.answers is None else self.answers)
        self.got += (await request.json())["value"]
        return Response(status_code=202)

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/hook", self._hook, methods=["POST"])])


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[tuple[FakeGraph, _Endpoint, httpx.AsyncClient]]:
    endpoint = _Endpoint()
    async with running_graph() as fake, httpx.AsyncClient(trust_env=False, base_url=fake.api_root) as http:
        http.headers.update({"Authorization": f"Bearer {fake.access_token()}", "Prefer": 'IdType="ImmutableId"'})
        transport = httpx.ASGITransport(app=endpoint.application())
        fake.subscriptions._client = httpx.AsyncClient(transport=transport)
        yield fake, endpoint, http


def _body(endpoint: _Endpoint, hours: int = 1) -> dict[str, str]:
    return {
        "changeType": "created,deleted",
        "notificationUrl": endpoint.url,
        "lifecycleNotificationUrl": endpoint.url,
        "resource": "/me/mailFolders('inbox')/messages",
        "expirationDateTime": (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clientState": "secret",
    }


async def test_changes_are_told_after_the_handshake() -> None:
    async with _stage() as (fake, endpoint, http):
        made = await http.post("/subscriptions", json=_body(endpoint))
        assert made.status_code == 201
        message_id = fake.deliver(mail())
        fake.mark(message_id, is_read=True)
        fake.deliver(mail(), "archive")
        fake.delete(message_id)
        await fake.subscriptions.settle()
        assert [each["changeType"] for each in endpoint.got] == ["created", "deleted"]
        assert endpoint.got[0]["clientState"] == "secret"
        assert endpoint.got[0]["resourceData"]["id"] == message_id
        fake.subscriptions.lifecycle("missed")
        await fake.subscriptions.settle()
        assert endpoint.got[-1]["lifecycleEvent"] == "missed"
        fake.assert_no_violations()


async def test_a_wrong_handshake_makes_no_subscription() -> None:
    async with _stage() as (fake, endpoint, http):
        endpoint.answers = "something else"
        refused = await http.post("/subscriptions", json=_body(endpoint))
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ValidationError")
        assert fake.subscriptions.active() == []


async def test_a_subscription_is_renewed_and_ended() -> None:
    async with _stage() as (_, endpoint, http):
        made = (await http.post("/subscriptions", json=_body(endpoint))).json()
        later = {"expirationDateTime": _body(endpoint, 3)["expirationDateTime"]}
        renewed = await http.patch(f"/subscriptions/{made['id']}", json=later)
        assert renewed.json()["expirationDateTime"] == later["expirationDateTime"]
        assert (await http.patch(f"/subscriptions/{made['id']}", json=_body(endpoint, 99))).status_code == 400
        assert (await http.delete(f"/subscriptions/{made['id']}")).status_code == 204
        assert (await http.get(f"/subscriptions/{made['id']}")).status_code == 404
