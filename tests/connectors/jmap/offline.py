"""A client whose server is made up by the test, and a clock on which waiting takes no time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import respx

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, PasswordCredential, Secret
from connectors.jmap.client import JmapClient
from connectors.jmap.discovery import Service
from connectors.jmap.settings import JmapSettings

HOST = "https://mail.example.com"
SESSION_URL = f"{HOST}/.well-known/jmap"
API_URL = f"{HOST}/api/"
PASSWORD = PasswordCredential("alice", Secret("wonder"))
TOKEN = BearerCredential("alice", Secret("t0ken"))

_SESSION: dict[str, Any] = {
    "capabilities": {
        "urn:ietf:params:jmap:core": {
            "maxSizeUpload": 1000,
            "maxConcurrentUpload": 2,
            "maxSizeRequest": 10_000,
            "maxConcurrentRequests": 2,
            "maxCallsInRequest": 4,
            "maxObjectsInGet": 256,
            "maxObjectsInSet": 128,
        },
        "urn:ietf:params:jmap:mail": {},
    },
    "accounts": {
        "A1": {
            "name": "alice",
            "isPersonal": True,
            "isReadOnly": False,
            "accountCapabilities": {"urn:ietf:params:jmap:mail": {"maxMailboxesPerEmail": None}},
        }
    },
    "primaryAccounts": {"urn:ietf:params:jmap:mail": "A1"},
    "username": "alice",
    "apiUrl": "/api/",
    "downloadUrl": "/download/{accountId}/{blobId}/{name}?accept={type}",
    "uploadUrl": "/upload/{accountId}/",
    "eventSourceUrl": "/events/?types={types}&closeafter={closeafter}&ping={ping}",
    "state": "s1",
}


def session_document(**changes: Any) -> dict[str, Any]:
    """Return a session document as a server sends it, with some of its properties replaced."""
    return {**copy.deepcopy(_SESSION), **changes}


def api_reply(*responses: Sequence[Any], state: str = "s1") -> httpx.Response:
    """Return the reply to an API request."""
    return httpx.Response(200, json={"methodResponses": [list(r) for r in responses], "sessionState": state})


def sent(call: respx.models.Call) -> dict[str, Any]:
    """Return the JSON object that a request carried."""
    decoded: dict[str, Any] = msgspec.json.decode(call.request.content)
    return decoded


class SkippingClock:
    """Sleeping moves it on at once; `slept` holds for how long each time."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds


class FixedResolver:
    """DNS that knows the SRV records it is given."""

    def __init__(self, records: Mapping[str, Sequence[Service]] | None = None) -> None:
        self.records = dict(records or {})
        self.asked: list[str] = []

    async def services(self, name: str) -> Sequence[Service]:
        self.asked.append(name)
        return self.records.get(name, ())


def make_client(
    router: respx.Router,
    *,
    credential: Credential | None = PASSWORD,
    clock: SkippingClock | None = None,
    resolver: FixedResolver | None = None,
    **settings: Any,
) -> JmapClient:
    """Return a client whose requests the router answers."""
    chosen = replace(JmapSettings(), **({"url": HOST} | settings if "domain" not in settings else settings))
    return JmapClient(
        chosen,
        FixedCredential(credential),
        clock=clock or SkippingClock(),
        transport=httpx.MockTransport(router.async_handler),
        resolver=resolver or FixedResolver(),
    )
