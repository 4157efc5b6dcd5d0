from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import httpx
import pytest

from connectors.api.credentials import BearerCredential, CredentialRecord, CredentialSource, Secret
from connectors.api.errors import AuthExpired, Unavailable
from connectors.gmail.oauth import (
    MODIFY_SCOPE,
    PUBSUB_SCOPE,
    GmailCredentials,
    oauth_source,
    pubsub_source,
    service_account_source,
)
from tests.connectors.gmail.rig import InProcess
from tests.connectors.transport.jumping_clock import JumpingClock, settle
from tests.fakes.gmail.client import ROOT
from tests.fakes.gmail.fake import FakeGmail

TOKEN_URI = f"{ROOT}/token"
SETTINGS = {"token_uri": TOKEN_URI, "topic": "projects/p/topics/t", "subscription": "projects/p/subscriptions/s"}


class Record:
    """What was given for an account, and what was saved of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.saved: list[dict[str, str]] = []
        self.is_read_only = False
        self.stored = dict(values)
        self.reads = 0
        self.record = CredentialRecord(_hidden(values), SETTINGS, self.save, self.read)

    async def read(self) -> Mapping[str, Secret[str]]:
        self.reads += 1
        if self.is_read_only:
            raise Unavailable("the disk is gone")
        return _hidden(self.stored)

    async def save(self, values: Mapping[str, Secret[str]]) -> None:
        if self.is_read_only:
            raise Unavailable("the disk is full")
        self.saved.append({key: value.reveal() for key, value in values.items()})
        self.stored.update(self.saved[-1])


def _hidden(values: Mapping[str, str]) -> dict[str, Secret[str]]:
    return {key: Secret(value) for key, value in values.items()}


def consent(fake: FakeGmail, **changes: str) -> Record:
    values = {
        "client_id": fake.options.client_id,
        "client_secret": fake.options.client_secret,
        "refresh_token": fake.refresh_token(),
    }
    return Record({**values, **changes})


async def token(source: CredentialSource) -> str:
    credential = await source.get()
    assert isinstance(credential, BearerCredential)
    return credential.token.reveal()


@pytest.fixture
def network(fake: FakeGmail) -> InProcess:
    return InProcess(fake)


async def test_a_refresh_token_gives_access_tokens(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    given = await token(source)
    assert fake.tokens.check(f"Bearer {given}", frozenset({"https://mail.google.com/"})).user == "user@example.com"


async def test_a_token_is_kept_until_shortly_before_it_expires(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    first = await token(source)
    clock.advance(3200)
    assert await token(source) == first
    clock.advance(200)
    assert await token(source) != first
    assert len(network.requests) == 2


async def test_all_who_wait_share_one_flight(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    tokens = await asyncio.gather(*(token(source) for _ in range(10)))
    assert len(set(tokens)) == 1
    assert len(network.requests) == 1


async def test_who_gives_up_does_not_cut_off_the_flight(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    waiting = asyncio.create_task(token(source))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await token(source)
    assert len(network.requests) == 1


async def test_a_refused_token_is_replaced_and_another_is_kept(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    first = await token(source)
    await source.refused(BearerCredential("", Secret("another")))
    assert await token(source) == first
    await source.refused(BearerCredential("", Secret(first)))
    assert await token(source) != first


async def test_a_login_that_has_ended_is_told_with_what_to_do(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    fake.revoke_token()
    with pytest.raises(AuthExpired, match=r"invalid_grant \(Token has been expired or revoked\.\): .*log in anew"):
        await source.get()


async def test_after_a_refusal_the_endpoint_is_left_alone_for_a_while(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    fake.revoke_token()
    for _ in range(5):
        with pytest.raises(AuthExpired):
            await source.get()
    assert len(network.requests) == 1
    clock.advance(61)
    with pytest.raises(AuthExpired):
        await source.get()
    assert len(network.requests) == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"client_secret": "wrong-secret-of-the-client"}, "check them in the Google Cloud console"),
        ({"client_id": "unknown"}, "Google does not know this client_id"),
        ({"refresh_token": "1//nonsense"}, "log in anew"),
    ],
)
async def test_what_is_wrong_with_the_login_is_explained(
    fake: FakeGmail, clock: JumpingClock, network: InProcess, changes: dict[str, str], text: str
) -> None:
    source = oauth_source(consent(fake, **changes).record, clock=clock, transport=network)
    with pytest.raises(AuthExpired, match=text) as caught:
        await source.get()
    assert "wrong-secret" not in str(caught.value)


async def test_a_client_may_have_no_secret(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    given = consent(fake)
    values = {key: value for key, value in given.record.values.items() if key != "client_secret"}
    record = CredentialRecord(values, SETTINGS, given.save)
    with pytest.raises(AuthExpired):
        await oauth_source(record, clock=clock, transport=network).get()
    assert b"client_secret" not in network.requests[0].content


async def test_an_endpoint_that_fails_is_unavailable(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    source = oauth_source(consent(fake).record, clock=clock, transport=network)
    fake.fail_next("oauth.token", times=3, status=503)
    with pytest.raises(Unavailable):
        await source.get()
    fake.fail_next("oauth.token", times=2, status=500)
    assert await token(source)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>a page of a hotel</html>"), (200, b"{}"), (404, b""), (400, b"no"), (302, b""), (429, b"{}")],
)
async def test_what_is_no_token_endpoint_is_unavailable(
    fake: FakeGmail, clock: JumpingClock, status: int, body: bytes
) -> None:
    network = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    with pytest.raises(Unavailable):
        await oauth_source(consent(fake).record, clock=clock, transport=network).get()


# -- refresh tokens that change ---------------------------------------------------------------------------------------


class Rotating(httpx.MockTransport):
    """Gives a new refresh token each time, and takes none twice."""

    def __init__(self, first: str) -> None:
        super().__init__(self._answer)
        self.good = first
        self.count = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        form = httpx.QueryParams(request.content.decode())
        if form["refresh_token"] != self.good:
            return httpx.Response(400, json={"error": "invalid_grant"})
        self.count += 1
        self.good = f"refresh-{self.count}"
        reply = {"access_token": f"access-{self.count}", "expires_in": 3600, "refresh_token": self.good}
        return httpx.Response(200, json=reply)


async def test_a_changed_refresh_token_is_saved_and_used(fake: FakeGmail, clock: JumpingClock) -> None:
    given = consent(fake, refresh_token="refresh-0")
    source = oauth_source(given.record, clock=clock, transport=Rotating("refresh-0"))
    assert await token(source) == "access-1"
    assert given.saved == [{"refresh_token": "refresh-1"}]
    clock.advance(4000)
    assert await token(source) == "access-2"
    assert given.saved[-1] == {"refresh_token": "refresh-2"}


async def test_no_token_is_used_before_its_refresh_token_is_saved(fake: FakeGmail, clock: JumpingClock) -> None:
    given = consent(fake, refresh_token="refresh-0")
    network = Rotating("refresh-0")
    source = oauth_source(given.record, clock=clock, transport=network)
    given.is_read_only = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="the disk is full"):
            await source.get()
    given.is_read_only = False
    assert await token(source) == "access-1"
    assert network.count == 1
    assert given.saved == [{"refresh_token": "refresh-1"}]


async def test_a_changed_refresh_token_is_saved_though_nobody_waits(fake: FakeGmail, clock: JumpingClock) -> None:
    given = consent(fake, refresh_token="refresh-0")
    source = oauth_source(given.record, clock=clock, transport=Rotating("refresh-0"))
    waiting = asyncio.create_task(token(source))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await settle()
    assert given.saved == [{"refresh_token": "refresh-1"}]


async def test_a_refresh_token_that_another_process_has_changed_is_read_anew(
    fake: FakeGmail, clock: JumpingClock
) -> None:
    given = consent(fake, refresh_token="refresh-0")
    network = Rotating("refresh-0")
    source = oauth_source(given.record, clock=clock, transport=network)
    other = oauth_source(given.record, clock=clock, transport=network)
    assert await token(other) == "access-1"
    assert await token(source) == "access-2"
    assert given.reads == 1
    # And the other way round, as often as it happens.
    clock.advance(4000)
    assert await token(other) == "access-3"
    assert await token(source) == "access-4"
    assert given.stored["refresh_token"] == "refresh-4"


async def test_a_login_given_anew_is_taken_whole(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    given = consent(fake, client_id="unknown", refresh_token="1//nonsense")
    source = oauth_source(given.record, clock=clock, transport=network)
    given.stored = consent(fake).stored
    assert await token(source)
    assert len(network.requests) == 2


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_login_that_has_ended_is_asked_for_once_if_the_store_has_no_other(
    fake: FakeGmail, clock: JumpingClock, network: InProcess, is_lost: bool
) -> None:
    given = consent(fake)
    source = oauth_source(given.record, clock=clock, transport=network)
    fake.revoke_token()
    given.is_read_only = is_lost
    with pytest.raises(AuthExpired, match="log in anew"):
        await source.get()
    assert (given.reads, len(network.requests)) == (1, 1)


async def test_a_token_from_the_store_that_is_no_good_either_is_the_end(fake: FakeGmail, clock: JumpingClock) -> None:
    given = consent(fake, refresh_token="refresh-0")
    given.stored["refresh_token"] = "refresh-bad"
    source = oauth_source(given.record, clock=clock, transport=Rotating("refresh-good"))
    with pytest.raises(AuthExpired):
        await source.get()
    assert given.reads == 1


async def test_who_was_overtaken_takes_what_the_other_has_saved(fake: FakeGmail, clock: JumpingClock) -> None:
    """Both processes ask at once, and the other one's refresh token is in the store first."""
    given, network = consent(fake, refresh_token="refresh-0"), Rotating("refresh-0")

    async def save(values: Mapping[str, Secret[str]]) -> None:
        if given.stored["refresh_token"] == "refresh-0":
            given.stored["refresh_token"] = network.good = "refresh-of-the-other"
            raise Unavailable("was set up anew")
        await given.save(values)

    record = CredentialRecord(given.record.values, SETTINGS, save, given.read)
    assert await token(oauth_source(record, clock=clock, transport=network)) == "access-2"
    assert given.stored["refresh_token"] == "refresh-2"


# -- service accounts -------------------------------------------------------------------------------------------------


def delegated(fake: FakeGmail, **changes: str) -> Record:
    key = json.dumps(fake.oauth.account.key_file(TOKEN_URI))
    return Record({"service_account": key, "subject": fake.options.address, **changes})


async def test_a_service_account_acts_for_its_subject(fake: FakeGmail, clock: JumpingClock, network: InProcess) -> None:
    source = service_account_source(delegated(fake).record, clock=clock, transport=network)
    given = await token(source)
    assert fake.tokens.check(f"Bearer {given}", frozenset({"https://mail.google.com/"})).user == "user@example.com"


async def test_the_lesser_scope_is_enough_where_only_that_is_delegated(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    fake.oauth.delegated = frozenset({MODIFY_SCOPE})
    source = service_account_source(delegated(fake).record, clock=clock, transport=network)
    assert fake.tokens.check(f"Bearer {await token(source)}", frozenset({MODIFY_SCOPE})).scopes == {MODIFY_SCOPE}
    fake.oauth.delegated = frozenset()
    other = service_account_source(delegated(fake).record, clock=clock, transport=network)
    with pytest.raises(AuthExpired, match="delegation of its scopes in the admin console"):
        await other.get()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "not JSON",
        "{}",
        '{"type": "authorized_user", "client_email": "a", "private_key": "b"}',
        json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "-----BEGIN PRIVATE KEY-----"}),
    ],
)
async def test_a_file_that_is_no_key_is_named_and_not_shown(
    fake: FakeGmail, clock: JumpingClock, network: InProcess, key: str
) -> None:
    source = service_account_source(delegated(fake, service_account=key).record, clock=clock, transport=network)
    with pytest.raises(AuthExpired, match=r"^the key file is not the JSON"):
        await source.get()
    assert network.requests == []


async def test_a_clock_that_is_wrong_is_suspected(fake: FakeGmail, network: InProcess) -> None:
    slow = JumpingClock()
    slow.set_back(86_400)
    source = service_account_source(delegated(fake).record, clock=slow, transport=network)
    with pytest.raises(AuthExpired, match="the clock of this machine"):
        await source.get()


async def test_a_service_account_reads_notifications_as_itself(
    fake: FakeGmail, clock: JumpingClock, network: InProcess
) -> None:
    key = json.dumps(fake.oauth.account.key_file(TOKEN_URI))
    for source in (
        service_account_source(delegated(fake).record, clock=clock, transport=network),
        oauth_source(consent(fake, pubsub_service_account=key).record, clock=clock, transport=network),
    ):
        pubsub = pubsub_source(source)
        assert pubsub is not None
        assert fake.tokens.check(f"Bearer {await token(pubsub)}", frozenset({PUBSUB_SCOPE})).user == ""


async def test_without_a_key_nothing_reads_notifications(fake: FakeGmail) -> None:
    source = oauth_source(consent(fake).record)
    assert isinstance(source, GmailCredentials)
    assert pubsub_source(source) is None
