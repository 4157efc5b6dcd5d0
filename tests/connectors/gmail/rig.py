"""How tests of the connector get at the stand-in: in process, with a token that can be changed."""

from __future__ import annotations

import httpx

from connectors.api.credentials import BearerCredential, Credential, Secret
from connectors.gmail.client import GmailClient
from connectors.gmail.settings import GmailSettings
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.app import application
from tests.fakes.gmail.client import ROOT
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.faults import Cut


class FakeTokens:
    """A source that asks the stand-in for another token once one is refused, unless `is_exhausted`."""

    def __init__(self, fake: FakeGmail) -> None:
        self.fake = fake
        self.refusals = 0
        self.is_exhausted = False
        self._token = fake.access_token()

    async def get(self) -> Credential | None:
        return BearerCredential("", Secret(self._token))

    async def refused(self, credential: Credential) -> None:
        self.refusals += 1
        if not self.is_exhausted:
            self._token = self.fake.access_token()


class InProcess(httpx.AsyncBaseTransport):
    """The stand-in as a transport: a connection it cuts is one that breaks while the reply is waited for."""

    def __init__(self, fake: FakeGmail) -> None:
        self._inner = httpx.ASGITransport(app=application(fake))
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        try:
            return await self._inner.handle_async_request(request)
        except Cut as exc:
            raise httpx.RemoteProtocolError("cut") from exc


def client_of(
    fake: FakeGmail,
    clock: JumpingClock,
    *,
    tokens: FakeTokens | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    **settings: object,
) -> GmailClient:
    """Return a client of the stand-in; `settings` replace those of a client that is not held back by its quota."""
    chosen = {"api_root": ROOT, "units_per_minute": 1_000_000.0, **settings}
    return GmailClient(
        GmailSettings(**chosen),  # type: ignore[arg-type]
        tokens or FakeTokens(fake),
        clock=clock,
        transport=transport or InProcess(fake),
        chance=lambda: 0.0,
    )
