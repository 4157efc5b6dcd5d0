"""What the stand-in's own tests talk to it with, without a socket; and mail to talk about."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import httpx

from tests.fakes.gmail.app import application
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import MAIL_SCOPE

ROOT = "http://gmail.test"


def mail(subject: str = "hello", *, message_id: str | None = None, body: str = "text", extra: str = "") -> bytes:
    """Return a small message; `extra` are further header lines, each with its CRLF."""
    named = f"Message-ID: <{message_id}>\r\n" if message_id is not None else ""
    head = f"From: Ada <ada@example.org>\r\nTo: user@example.com\r\nSubject: {subject}\r\n{named}{extra}"
    return f"{head}\r\n{body}\r\n".encode()


def raw64(raw: bytes) -> str:
    """Return what goes into a Message's `raw`."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unraw(text: str) -> bytes:
    """Return what is in a Message's `raw`."""
    return base64.urlsafe_b64decode(text)


class Client:
    """Calls methods below users/me with a token of the first user, or of another."""

    def __init__(self, fake: FakeGmail, scopes: Iterable[str] = (MAIL_SCOPE,), user: str | None = None) -> None:
        self.fake = fake
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=application(fake)), base_url=ROOT)
        self.http.headers["Authorization"] = f"Bearer {fake.access_token(scopes, user)}"

    async def call(self, verb: str, path: str, body: object = None, **query: Any) -> httpx.Response:
        """Call and return the response, whatever it is."""
        return await self.http.request(verb, f"/gmail/v1/users/me/{path}", json=body, params=query)

    async def get(self, path: str, **query: Any) -> Any:
        """GET and return the JSON of a success."""
        return _json(await self.call("GET", path, **query))

    async def post(self, path: str, body: object = None, **query: Any) -> Any:
        """POST and return the JSON of a success; None if it has no body."""
        return _json(await self.call("POST", path, body, **query))

    async def refused(self, verb: str, path: str, body: object = None, **query: Any) -> tuple[int, str, str]:
        """Call and return status, reason and message of the refusal."""
        return refusal(await self.call(verb, path, body, **query))

    async def ids(self, **query: Any) -> list[str]:
        """Return the ids of one page of messages.list."""
        return [each["id"] for each in (await self.get("messages", **query)).get("messages", [])]

    async def labels_of(self, message_id: str) -> set[str]:
        """Return the labels of a message."""
        return set((await self.get(f"messages/{message_id}", format="minimal")).get("labelIds", []))


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, reason and message of a refusal."""
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return response.status_code, error["errors"][0]["reason"], error["message"]


def _json(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json() if response.content else None
