from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, ConnectorError, Denied
from connectors.gmail.login import log_in
from tests.connectors.gmail.rig import InProcess
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.client import ROOT
from tests.fakes.gmail.fake import FakeGmail

SETTINGS = {"token_uri": f"{ROOT}/token", "auth_uri": f"{ROOT}/o/oauth2/v2/auth"}
REDIRECT = "http://127.0.0.1:40000"


class Person:
    """Answers questions as told, and agrees to whatever a page of consent asks."""

    def __init__(self, network: httpx.AsyncBaseTransport, *answers: str) -> None:
        self._network = network
        self.answers = list(answers)
        self.told: list[str] = []
        self.asked: list[tuple[str, bool]] = []
        self.address = ""
        self.has_answered = True

    async def tell(self, text: str) -> None:
        self.told.append(text)

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        self.asked.append((question, is_secret))
        return self.answers.pop(0)

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        self.address = address(REDIRECT)
        response = await self._network.handle_async_request(httpx.Request("GET", self.address))
        assert response.status_code == 302, await response.aread()
        url = str(response.headers["Location"])
        assert url.startswith(f"{REDIRECT}?")
        self.has_answered = is_answer(url)
        assert not is_answer(f"{REDIRECT}/?code=4/x&state=forged")
        assert not is_answer("http://[/")
        return url


def client_of_google(fake: FakeGmail) -> dict[str, Secret[str]]:
    return {
        "client_id": Secret(fake.options.client_id),
        "client_secret": Secret(fake.options.client_secret),
    }


@pytest.fixture
def person(fake: FakeGmail) -> Person:
    return Person(InProcess(fake))


async def logged_in(
    fake: FakeGmail, clock: JumpingClock, person: Person, values: Mapping[str, Secret[str]] | None = None
) -> Mapping[str, Secret[str]]:
    given = client_of_google(fake) if values is None else values
    return await log_in(given, SETTINGS, person, clock=clock, transport=InProcess(fake))


async def test_a_consent_gives_a_refresh_token(fake: FakeGmail, clock: JumpingClock, person: Person) -> None:
    values = await logged_in(fake, clock, person)
    assert person.has_answered
    assert person.asked == []
    grant = fake.tokens.refreshed(values["refresh_token"].reveal())
    assert grant is not None
    assert grant.scopes == {"https://mail.google.com/"}


async def test_the_page_is_asked_for_with_pkce_and_for_offline_use(
    fake: FakeGmail, clock: JumpingClock, person: Person
) -> None:
    await logged_in(fake, clock, person)
    asked = {name: found[0] for name, found in parse_qs(urlsplit(person.address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 32
    assert (asked["access_type"], asked["prompt"], asked["redirect_uri"]) == ("offline", "consent", REDIRECT)
    assert fake.options.client_secret not in person.address
    assert "login_hint" not in asked


async def test_the_user_of_the_account_is_suggested(fake: FakeGmail, clock: JumpingClock, person: Person) -> None:
    settings = {**SETTINGS, "user": "user@example.com"}
    await log_in(client_of_google(fake), settings, person, clock=clock, transport=InProcess(fake))
    assert "login_hint=user%40example.com" in person.address


async def test_what_is_missing_of_the_client_is_asked_for(fake: FakeGmail, clock: JumpingClock) -> None:
    person = Person(InProcess(fake), fake.options.client_id, fake.options.client_secret)
    values = await logged_in(fake, clock, person, {})
    assert [is_secret for _, is_secret in person.asked] == [False, True]
    assert "Desktop app" in person.told[0]
    assert values.keys() == {"client_id", "client_secret", "refresh_token"}


async def test_an_empty_secret_is_none(fake: FakeGmail, clock: JumpingClock) -> None:
    person = Person(InProcess(fake), "")
    values = {"client_id": Secret(fake.options.client_id)}
    with pytest.raises(AuthExpired, match="check them in the Google Cloud console"):
        await logged_in(fake, clock, person, values)


async def test_a_consent_that_is_refused_is_told(fake: FakeGmail, clock: JumpingClock, person: Person) -> None:
    fake.oauth.is_declined = True
    with pytest.raises(Denied, match=r"the consent was refused \(access_denied\)"):
        await logged_in(fake, clock, person)


async def test_a_consent_without_the_mail_is_told(fake: FakeGmail, clock: JumpingClock, person: Person) -> None:
    fake.oauth.scopes_withheld = frozenset({"https://mail.google.com/"})
    with pytest.raises(ConnectorError):
        await logged_in(fake, clock, person)


async def test_a_consent_without_a_refresh_token_is_told(fake: FakeGmail, clock: JumpingClock, person: Person) -> None:
    fake.oauth.has_no_refresh_token = True
    with pytest.raises(AuthExpired, match="has given no refresh token"):
        await logged_in(fake, clock, person)
