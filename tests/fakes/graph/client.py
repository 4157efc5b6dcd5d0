"""What the stand-in's own tests talk to it with, without a socket; and mail to talk about."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.fakes.graph.app import application
from tests.fakes.graph.fake import FakeGraph

ORIGIN = "http://graph.test"
IMMUTABLE = 'IdType="ImmutableId"'


def mail(subject: str = "hello", *, message_id: str | None = None, body: str = "text", extra: str = "") -> bytes:
    """Return a small message; `extra` are further header lines, each with its CRLF."""
    named = f"Message-ID: <{message_id}>\r\n" if message_id is not None else ""
    head = f"From: Ada <ada@example.org>\r\nTo: user@example.com\r\nSubject: {subject}\r\n{named}{extra}"
    return f"{head}\r\n{body}\r\n".encode()


class Client:
    """Calls what is below a mailbox, with immutable ids unless told otherwise."""

    def __init__(self, fake: FakeGraph, token: str | None = None, root: str = "/me") -> None:
        self.fake = fake
        fake.origin = ORIGIN
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=application(fake)), base_url=f"{ORIGIN}/v1.0")
        self.http.headers["Authorization"] = f"Bearer {token or fake.access_token()}"
        self.root = root

    async def call(
        self,
        verb: str,
        path: str,
        body: object = None,
        *,
        prefer: str = IMMUTABLE,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        **query: Any,
    ) -> httpx.Response:
        """Call and return the response, whatever it is. In names of query options `_` at the start is `$`."""
        options = {f"${name[1:]}" if name.startswith("_") else name: value for name, value in query.items()}
        url = path if path.startswith("http") else f"{self.root}{path}"
        sent = {**({"Prefer": prefer} if prefer else {}), **(headers or {})}
        return await self.http.request(verb, url, json=body, content=content, params=options or None, headers=sent)

    async def get(self, path: str, **options: Any) -> Any:
        """GET and return the JSON of a success."""
        return _json(await self.call("GET", path, **options))

    async def post(self, path: str, body: object = None, **options: Any) -> Any:
        """POST and return the JSON of a success; None if it has no body."""
        return _json(await self.call("POST", path, body if body is not None else {}, **options))

    async def patch(self, path: str, body: object) -> Any:
        """PATCH and return the JSON of a success."""
        return _json(await self.call("PATCH", path, body))

    async def mime(self, message_id: str) -> bytes:
        """Return what $value gives."""
        response = await self.call("GET", f"/messages/{message_id}/$value")
        assert response.status_code == 200
        return response.content

    async def post_mime(self, raw: bytes, path: str = "/messages") -> httpx.Response:
        """POST MIME and return the response."""
        headers = {"Content-Type": "text/plain"}
        return await self.call("POST", path, content=base64.b64encode(raw), headers=headers)

    async def refused(self, verb: str, path: str, body: object = None, **options: Any) -> tuple[int, str]:
        """Call and return status and code of the refusal."""
        return refusal(await self.call(verb, path, body, **options))

    async def ids(self, folder: str = "inbox", **options: Any) -> list[str]:
        """Return the ids of one page of a folder."""
        found = await self.get(f"/mailFolders/{folder}/messages", _select="id", **options)
        return [each["id"] for each in found["value"]]

    async def delta(self, where: str = "inbox", **options: Any) -> tuple[list[Any], str]:
        """Walk a round of a folder, or from a link, to its end; return the items and the deltaLink."""
        items: list[Any] = []
        path = where if where.startswith("http") else f"/mailFolders/{where}/messages/delta"
        while True:
            page = await self.get(path, **options)
            items += page["value"]
            if "@odata.deltaLink" in page:
                return items, page["@odata.deltaLink"]
            path, options = page["@odata.nextLink"], {"prefer": options.get("prefer", IMMUTABLE)}

    async def batch(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Send a batch; return its responses by id."""
        response = await self.http.post("/$batch", json={"requests": list(items)})
        assert response.status_code == 200, response.text
        return {each["id"]: each for each in response.json()["responses"]}


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    error = response.json()["error"]
    assert error["message"] is not None
    assert error["innerError"]["request-id"]
    return response.status_code, error["code"]


def _json(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json() if response.content else None
