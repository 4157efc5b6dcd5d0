from __future__ import annotations

import httpx
import pytest

from tests.fakes.jmap.capabilities import CORE, MAIL, QUOTA, WEBSOCKET
from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, FakeUser, Quirk, UrlStyle
from tests.fakes.jmap.server import running_fake

SHARED = FakeOptions(
    users=(FakeUser(accounts=("alice", "team")), FakeUser("bob", "pass:word", "bt", ("bob", "team"))),
    read_only_accounts=frozenset({"team"}),
)


async def test_both_schemes_of_authentication_are_taken(fake: FakeJmap) -> None:
    user = fake.options.users[0]
    async with httpx.AsyncClient() as http:
        basic = await http.get(fake.url, auth=(user.name, user.password))
        bearer = await http.get(fake.url, headers={"Authorization": f"Bearer {user.token}"})
    assert basic.json() == bearer.json()
    assert basic.headers["cache-control"] == "no-cache, no-store, must-revalidate"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Basic ???", "Digest x"])
async def test_others_are_refused_and_told_what_is_taken(fake: FakeJmap, header: str | None) -> None:
    async with httpx.AsyncClient() as http:
        reply = await http.get(fake.url, headers={"Authorization": header} if header else {})
    assert reply.status_code == 401
    assert "Basic" in reply.headers["www-authenticate"]
    fake.assert_no_violations()


async def test_a_call_without_credentials_is_a_violation(fake: FakeJmap) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.post(fake.origins.primary + "/jmap/api/", json={})).status_code == 401
    assert [violation.where for violation in fake.violations] == ["api"]


@pytest.mark.parametrize("options", [SHARED])
async def test_accounts_are_shared_as_the_options_say(fake: FakeJmap, client: Client) -> None:
    accounts = client.session["accounts"]
    own, team = fake.account("alice").id, fake.account("team").id
    assert {key: (each["name"], each["isPersonal"], each["isReadOnly"]) for key, each in accounts.items()} == {
        own: ("alice", True, False),
        team: ("team", False, True),
    }
    assert client.session["primaryAccounts"][MAIL] == own
    reply = await client.calls(["Email/set", {"accountId": team}, "c"])
    assert reply[0][1]["type"] == "accountReadOnly"
    reply = await client.calls(["Mailbox/get", {"accountId": fake.account("bob").id}, "c"])
    assert reply[0][1]["type"] == "accountNotFound"


async def test_a_password_may_hold_a_colon() -> None:
    async with running_fake(SHARED) as fake, httpx.AsyncClient(auth=("bob", "pass:word")) as http:
        assert (await http.get(fake.url)).json()["username"] == "bob"


async def test_the_limits_are_those_of_the_options(client: Client) -> None:
    core = client.session["capabilities"][CORE]
    assert core["maxObjectsInGet"] == 500
    assert core["maxConcurrentRequests"] == 4
    assert client.session["accounts"][client.account_id]["accountCapabilities"][MAIL]["maxMailboxesPerEmail"] is None
    assert QUOTA not in client.session["capabilities"]
    assert WEBSOCKET not in client.session["capabilities"]


async def test_limits_may_be_missing_or_misspelt() -> None:
    for quirk, names in (
        (Quirk.LIMITS_MISSING, {"collationAlgorithms"}),
        (Quirk.LIMITS_MISSPELT, {"maxConcurrentRequest", "maxObjectsInGet"}),
    ):
        async with running_fake(FakeOptions(quirks=frozenset({quirk}))) as fake, Client(fake) as client:
            core = client.session["capabilities"][CORE]
            assert names <= core.keys()
            assert "maxConcurrentRequests" not in core


async def test_urls_may_be_relative() -> None:
    async with running_fake(FakeOptions(urls=UrlStyle.RELATIVE)) as fake, Client(fake) as client:
        assert client.session["apiUrl"] == "/jmap/api/"
        assert await client.download(await client.upload(b"x")) == b"x"


async def test_urls_may_be_on_other_hosts() -> None:
    async with running_fake(FakeOptions(urls=UrlStyle.OTHER_HOST)) as fake, Client(fake) as client:
        assert client.session["apiUrl"].startswith("http://localhost:")
        assert client.session["downloadUrl"].startswith("http://127.0.0.1:")
        assert await client.download(await client.upload(b"x")) == b"x"
        assert (await client.call("Mailbox/get", ids=[]))["list"] == []
        assert {exchange.host for exchange in fake.stats.exchanges} == {
            f"127.0.0.1:{fake.origins.port}",
            f"127.0.0.1:{fake.origins.other_port}",
            f"localhost:{fake.origins.other_port}",
        }


async def test_the_event_source_url_may_lack_its_variables() -> None:
    options = FakeOptions(quirks=frozenset({Quirk.BARE_EVENT_SOURCE_URL}))
    async with running_fake(options) as fake, Client(fake) as client:
        assert client.session["eventSourceUrl"].endswith("/jmap/events/")


@pytest.mark.parametrize("hops", [1, 3])
async def test_the_well_known_place_leads_to_the_session(hops: int) -> None:
    async with running_fake(FakeOptions(redirects=hops)) as fake, Client(fake) as client:
        reply = await client.http.get(fake.well_known_url, follow_redirects=True)
        assert len(reply.history) == hops
        assert reply.json() == client.session


@pytest.mark.parametrize("to_other_host", [False, True])
async def test_a_session_that_moved_is_redirected(fake: FakeJmap, client: Client, to_other_host: bool) -> None:
    old = fake.url
    fake.move_session(to_other_host=to_other_host)
    reply = await client.http.get(old)
    assert reply.status_code == 308
    assert httpx.URL(old).join(reply.headers["location"]) == fake.url
    assert (await client.http.get(fake.url)).json()["username"] == "alice"
    fake.assert_no_violations()


async def test_the_session_state_moves_when_the_session_changes(fake: FakeJmap, client: Client) -> None:
    before = client.session["state"]
    request = {"using": [CORE], "methodCalls": []}
    assert (await client.post(request)).json()["sessionState"] == before
    fake.configure(max_objects_in_get=7)
    after = (await client.post(request)).json()["sessionState"]
    await client.open()
    assert client.session["state"] == after != before
    assert client.session["capabilities"][CORE]["maxObjectsInGet"] == 7


async def test_changed_credentials_are_refused(fake: FakeJmap, client: Client) -> None:
    fake.change_credentials("alice", token="another")
    assert (await client.http.get(fake.url)).status_code == 401


async def test_places_the_session_does_not_name_are_violations(fake: FakeJmap, client: Client) -> None:
    assert (await client.http.get(fake.origins.primary + "/jmap/mail")).status_code == 404
    assert (await client.http.get(client.url("apiUrl"))).status_code == 404
    assert (await client.http.get(fake.origins.primary + "/jmap/upload/A001/")).status_code == 404
    assert len(fake.violations) == 3


async def test_an_unexpanded_template_is_a_violation(fake: FakeJmap, client: Client) -> None:
    await client.http.get(client.session["downloadUrl"])
    assert fake.violations[0].detail == "a URL template was not expanded"
