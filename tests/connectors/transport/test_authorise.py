from __future__ import annotations

import asyncio
import base64

import pytest

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, PasswordCredential, Secret
from connectors.api.errors import AuthExpired
from connectors.transport.authorise import CredentialAuthoriser, NoAuthoriser
from connectors.transport.origins import MalformedUrl

URL = "https://api.example.com/jmap"


def bearer(token: str) -> BearerCredential:
    return BearerCredential("jo", Secret(token))


class RefreshingSource:
    """Hands out `token-N`, the next N after each refusal."""

    def __init__(self) -> None:
        self.generation = 1
        self.refusals = 0

    async def get(self) -> Credential | None:
        await asyncio.sleep(0)
        return bearer(f"token-{self.generation}")

    async def refused(self, credential: Credential) -> None:
        await asyncio.sleep(0)
        assert isinstance(credential, BearerCredential)
        self.refusals += 1
        self.generation += 1


async def test_a_token_is_sent_as_bearer() -> None:
    authoriser = CredentialAuthoriser(FixedCredential(bearer("abc")), ["api.example.com"])
    assert await authoriser.headers_for(URL) == {"Authorization": "Bearer abc"}


async def test_a_password_is_sent_as_basic_in_utf_8() -> None:
    source = FixedCredential(PasswordCredential("jo", Secret("gehe\u00efm:x")))
    fields = await CredentialAuthoriser(source, ["api.example.com"]).headers_for(URL)
    scheme, _, value = fields["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value).decode() == "jo:gehe\u00efm:x"


async def test_without_a_credential_nothing_is_sent() -> None:
    authoriser = CredentialAuthoriser(FixedCredential(None), ["api.example.com"])
    assert await authoriser.headers_for(URL) == {}
    assert not await authoriser.refused({})


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/",
        "http://api.example.com/",
        "https://api.example.com:444/",
        "https://api.example.com@evil.example/",
        "no address",
    ],
)
async def test_a_credential_goes_nowhere_else(url: str) -> None:
    authoriser = CredentialAuthoriser(FixedCredential(bearer("abc")), ["api.example.com"])
    assert await authoriser.headers_for(url) == {}


async def test_origins_that_a_server_names_can_be_trusted_if_nobody_can_read_along() -> None:
    authoriser = CredentialAuthoriser(FixedCredential(bearer("abc")), ["http://mail.internal:8080"])
    authoriser.trust("https://blobs.example.com/{id}", "http://mail.internal:8080/up", "http://127.0.0.1:99/")
    assert authoriser.allows("https://blobs.example.com/1")
    assert authoriser.allows("http://127.0.0.1:99/x")
    with pytest.raises(MalformedUrl):
        authoriser.trust("https://one.example.com/", "http://mail.internal:9090/")
    assert not authoriser.allows("https://one.example.com/")


def test_a_wrong_entry_allows_nothing() -> None:
    authoriser = CredentialAuthoriser(FixedCredential(None))
    with pytest.raises(MalformedUrl):
        authoriser.allow("good.example.com", "*.com")
    assert not authoriser.allows("https://good.example.com/")


@pytest.mark.parametrize(
    "credential",
    [
        bearer(""),
        bearer("abc\r\nX-Evil: 1"),
        bearer("a b"),
        bearer("t\u00f6ken"),
        PasswordCredential("a:b", Secret("x")),
        PasswordCredential("jo", Secret("x\r\ny")),
        PasswordCredential("jo\x00", Secret("x")),
        PasswordCredential("jo", Secret("x\udcff")),
    ],
)
async def test_a_credential_that_cannot_be_sent_asks_for_a_new_login(credential: Credential) -> None:
    authoriser = CredentialAuthoriser(FixedCredential(credential), ["api.example.com"])
    with pytest.raises(AuthExpired) as caught:
        await authoriser.headers_for(URL)
    assert "abc" not in caught.value.operator_text


async def test_refused_together_the_source_is_told_once() -> None:
    source = RefreshingSource()
    authoriser = CredentialAuthoriser(source, ["api.example.com"])
    sent = await authoriser.headers_for(URL)
    assert await asyncio.gather(*(authoriser.refused(sent) for _ in range(5))) == [True] * 5
    assert source.refusals == 1
    assert await authoriser.headers_for(URL) == {"Authorization": "Bearer token-2"}


async def test_each_new_token_can_be_refused_in_turn() -> None:
    source = RefreshingSource()
    authoriser = CredentialAuthoriser(source, ["api.example.com"])
    for generation in (1, 2, 3):
        assert await authoriser.refused({"Authorization": f"Bearer token-{generation}"})
    assert source.refusals == 3


async def test_a_credential_without_successor_is_reported_once() -> None:
    refusals: list[Credential] = []

    class Source:
        async def get(self) -> Credential | None:
            return bearer("abc")

        async def refused(self, credential: Credential) -> None:
            refusals.append(credential)

    authoriser = CredentialAuthoriser(Source(), ["api.example.com"])
    sent = await authoriser.headers_for(URL)
    assert await asyncio.gather(*(authoriser.refused(sent) for _ in range(3))) == [False] * 3
    assert refusals == [bearer("abc")]


async def test_a_credential_taken_away_meanwhile_is_another() -> None:
    authoriser = CredentialAuthoriser(FixedCredential(bearer("new")), ["api.example.com"])
    assert await authoriser.refused({"Authorization": "Bearer old"})


async def test_no_authoriser_sends_nothing() -> None:
    assert await NoAuthoriser().headers_for(URL) == {}
    assert not await NoAuthoriser().refused({})
