"""Logins and tokens over real connections, with and without TLS, down to the first call to Graph."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from connectors.api.credentials import CredentialSource, Secret
from connectors.api.errors import AuthExpired, Denied
from connectors.api.settings import SettingValue
from connectors.graph import SPEC
from connectors.graph.client import GraphClient
from connectors.graph.login import log_in
from connectors.graph.settings import parse_settings
from connectors.graph.structs import MailFolder
from connectors.graph.tokens import app_certificate_source, app_secret_source, consent_source
from connectors.transport.messages import Effect
from tests.connectors.graph.certificate import pem_of, self_signed
from tests.connectors.graph.login_service import Keeper
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.server import running_graph


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture(params=[True, False], ids=["tls", "plain"])
async def fake(request: pytest.FixtureRequest, clock: JumpingClock) -> AsyncIterator[FakeGraph]:
    async with running_graph(GraphOptions(tls=request.param), clock=clock) as fake:
        yield fake
        assert fake.violations == []


class Person:
    """Logs in as asked: enters the code that is shown, or opens the page."""

    def __init__(self, fake: FakeGraph, way: str) -> None:
        self._fake = fake
        self._way = way

    async def tell(self, text: str) -> None:
        code = re.search(r"enter the code (\w+)", text)
        if code is not None:
            self._fake.oauth.approve(code[1])

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        return self._way

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        trusted = ssl.create_default_context(cafile=self._fake.ca_file)
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as browser:
            reply = await browser.get(address("http://127.0.0.1:40000"))
        assert reply.status_code == 302, reply.text
        assert is_answer(reply.headers["Location"])
        return str(reply.headers["Location"])


def settings_of(fake: FakeGraph, **settings: SettingValue) -> Mapping[str, SettingValue]:
    given = {"api_root": fake.api_root, "authority": fake.authority(fake.options.tenant), **settings}
    return SPEC.check(given | ({"ca_file": fake.ca_file} if fake.ca_file else {}))


async def inbox(fake: FakeGraph, source: CredentialSource, clock: JumpingClock, **settings: SettingValue) -> str | None:
    client = GraphClient(parse_settings(settings_of(fake, **settings)), source, clock=clock)
    try:
        folder = await client.call("GET", "/mailFolders/inbox", reply=MailFolder, effect=Effect.READ)
    finally:
        await client.close()
    return folder.display_name


@pytest.mark.parametrize("way", ["code", "browser"])
async def test_a_user_logs_in_and_stays_so(fake: FakeGraph, clock: JumpingClock, way: str) -> None:
    fake.oauth.retires = True
    given = {"client_id": Secret(fake.options.client_id)}
    values = await log_in(given, settings_of(fake), Person(fake, way), clock=clock)
    keeper = Keeper(**values)
    source = consent_source(keeper.record(settings_of(fake)), clock=clock)
    assert await inbox(fake, source, clock) == "Inbox"
    clock.advance(fake.options.token_lifetime_s + 1)
    # To MSAL, whose clock has not moved, the token is good still; Graph refuses it.
    assert await inbox(fake, source, clock) == "Inbox"
    again = consent_source(keeper.record(settings_of(fake)), clock=clock)
    assert await inbox(fake, again, clock) == "Inbox"


async def test_a_revoked_login_asks_for_another(fake: FakeGraph, clock: JumpingClock) -> None:
    given = {"client_id": Secret(fake.options.client_id)}
    values = await log_in(given, settings_of(fake), Person(fake, ""), clock=clock)
    source = consent_source(Keeper(**values).record(settings_of(fake)), clock=clock)
    fake.tokens.refresh.clear()
    clock.advance(fake.options.token_lifetime_s + 1)
    with pytest.raises(AuthExpired, match="log in again"):
        await inbox(fake, source, clock)


async def test_a_user_who_says_no_has_not_logged_in(fake: FakeGraph, clock: JumpingClock) -> None:
    fake.oauth.is_declined = True
    given = {"client_id": Secret(fake.options.client_id)}
    with pytest.raises(Denied, match="refused"):
        await log_in(given, settings_of(fake), Person(fake, "browser"), clock=clock)


async def test_an_application_reads_a_mailbox_by_its_secret(fake: FakeGraph, clock: JumpingClock) -> None:
    options = fake.options
    keeper = Keeper(client_id=options.client_id, tenant=options.tenant, client_secret=options.client_secret)
    settings = settings_of(fake, mailbox=options.address)
    source = app_secret_source(keeper.record(settings), clock=clock)
    assert await inbox(fake, source, clock, mailbox=options.address) == "Inbox"


async def test_an_application_reads_a_mailbox_by_its_certificate(clock: JumpingClock) -> None:
    key, certificate = self_signed()
    # On the machine's clock, by which MSAL dates what it signs.
    async with running_graph(GraphOptions(tls=True)) as fake:
        fake.oauth.certificates.register(certificate.public_bytes(Encoding.PEM))
        options = fake.options
        keeper = Keeper(client_id=options.client_id, tenant=options.tenant, certificate=pem_of(key, certificate))
        source = app_certificate_source(keeper.record(settings_of(fake, mailbox=options.address)), clock=clock)
        assert await inbox(fake, source, clock, mailbox=options.address) == "Inbox"
        assert fake.violations == []
