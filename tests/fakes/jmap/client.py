"""A plain JMAP client for the stand-in's own tests; it sends whatever a test says."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any

import httpx

from tests.fakes.jmap.capabilities import CORE, MAIL
from tests.fakes.jmap.fake import FakeJmap

Reply = tuple[str, dict[str, Any], str]


class Client:
    """Logs in as a user of the stand-in, by its token."""

    def __init__(self, fake: FakeJmap, user: str | None = None) -> None:
        self.fake = fake
        users = fake.options.users
        self.user = next(each for each in users if user in (None, each.name))
        # A bare context, for loading the system's certificates takes longer than a test does.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self.user.token}"}, timeout=10, verify=context
        )
        self.session: dict[str, Any] = {}

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def open(self) -> None:
        """Read the session document."""
        self.session = (await self.http.get(self.fake.url)).raise_for_status().json()

    @property
    def account_id(self) -> str:
        return str(self.session["primaryAccounts"][MAIL])

    def url(self, key: str, **variables: str) -> str:
        """Return a URL of the session document with its variables filled in."""
        return str(httpx.URL(self.fake.url).join(str(self.session[key]).format(**variables)))

    async def post(self, content: Any, **headers: str) -> httpx.Response:
        """Send a request, as JSON if it is not octets."""
        if isinstance(content, bytes):
            return await self.http.post(
                self.url("apiUrl"), content=content, headers={"Content-Type": "application/json", **headers}
            )
        return await self.http.post(self.url("apiUrl"), json=content, headers=headers)

    async def calls(self, *calls: list[Any], using: tuple[str, ...] = (CORE, MAIL)) -> list[Reply]:
        """Send method calls and return the method responses."""
        reply = await self.post({"using": list(using), "methodCalls": list(calls)})
        return [
            (name, arguments, call_id)
            for name, arguments, call_id in reply.raise_for_status().json()["methodResponses"]
        ]

    async def call(self, name: str, using: tuple[str, ...] = (CORE, MAIL), **arguments: Any) -> dict[str, Any]:
        """Call one method on the account and return the arguments of its reply, an error's with its name added."""
        ((reply, result, _),) = await self.calls([name, {"accountId": self.account_id, **arguments}, "c"], using=using)
        return {**result, "error": result["type"]} if reply == "error" else result

    async def upload(self, data: bytes) -> str:
        """Upload a blob and return its id."""
        url = self.url("uploadUrl", accountId=self.account_id)
        reply = await self.http.post(url, content=data, headers={"Content-Type": "message/rfc822"})
        return str(reply.raise_for_status().json()["blobId"])

    async def download(self, blob_id: str) -> bytes:
        url = self.url("downloadUrl", accountId=self.account_id, blobId=blob_id, name="a.eml", type="message%2Frfc822")
        return (await self.http.get(url)).raise_for_status().content
