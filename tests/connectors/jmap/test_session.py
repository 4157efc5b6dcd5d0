"""The session says where everything is, and is read again when it changes, but not for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import respx

from connectors.api.errors import AuthExpired, Denied, Rejected
from connectors.jmap.calls import Call
from connectors.jmap.client import JmapClient
from connectors.jmap.session import FIRST_PAUSE_S, LONGEST_PAUSE_S
from connectors.jmap.structs import QUOTA, WEBSOCKET
from tests.connectors.jmap.offline import (
    API_URL,
    HOST,
    SESSION_URL,
    SkippingClock,
    api_reply,
    make_client,
    session_document,
)

MAIL = "urn:ietf:params:jmap:mail"


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


async def opened(router: respx.Router, clock: SkippingClock | None = None, **changes: Any) -> JmapClient:
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=session_document(**changes)))
    client = make_client(router, clock=clock)
    await client.open()
    return client


async def ask(client: JmapClient) -> None:
    await client.call(Call("Core/echo", {}, "e"))


# -- addresses --------------------------------------------------------------------------------------------------------


async def test_relative_urls_are_resolved(router: respx.Router) -> None:
    endpoints = (await opened(router)).view.endpoints
    assert endpoints.api == API_URL
    assert endpoints.upload("A1") == f"{HOST}/upload/A1/"
    assert endpoints.download("A1", "G/1", "m.eml", "a/b") == f"{HOST}/download/A1/G%2F1/m.eml?accept=a%2Fb"
    assert (
        endpoints.event_source(("Email", "Mailbox"), closes_after_state=True, ping_s=30)
        == f"{HOST}/events/?types=Email%2CMailbox&closeafter=state&ping=30"
    )


async def test_urls_of_other_hosts_get_the_credential_unless_hosts_are_set(router: respx.Router) -> None:
    client = await opened(router, apiUrl="https://api.example.net/")
    api = router.post("https://api.example.net/").mock(return_value=api_reply(("Core/echo", {}, "e")))
    await ask(client)
    assert api.calls.last.request.headers["Authorization"].startswith("Basic ")
    with pytest.raises(Rejected, match=r"allowed_hosts names api\.example\.net"):
        await make_client(router, allowed_hosts=("files.example.net",)).open()


async def test_a_url_without_tls_is_refused(router: respx.Router) -> None:
    with pytest.raises(Rejected, match="without TLS"):
        await opened(router, uploadUrl="http://mail.example.com/upload/")


async def test_push_that_would_go_astray_is_left_out(router: respx.Router) -> None:
    capabilities = session_document()["capabilities"] | {
        WEBSOCKET: {"url": "ws://mail.example.com/", "supportsPush": True}
    }
    client = await opened(router, eventSourceUrl="http://mail.example.com/e", capabilities=capabilities)
    assert client.view.endpoints.event_source(("Email",), closes_after_state=False, ping_s=30) is None
    assert client.view.endpoints.websocket is None


async def test_push_from_a_host_that_is_not_allowed_is_left_out(router: respx.Router) -> None:
    websocket = {"url": "wss://push.example.net/ws", "supportsPush": True}
    document = session_document(eventSourceUrl="https://push.example.net/e")
    document["capabilities"][WEBSOCKET] = websocket
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=document))
    client = make_client(router, allowed_hosts=("api.example.com",))
    await client.open()
    assert client.view.endpoints.event_source(("Email",), closes_after_state=False, ping_s=30) is None
    assert client.view.endpoints.websocket is None


async def test_the_websocket_is_found(router: respx.Router) -> None:
    capabilities = session_document()["capabilities"] | {WEBSOCKET: {"url": "/ws", "supportsPush": True}}
    websocket = (await opened(router, capabilities=capabilities)).view.endpoints.websocket
    assert websocket is not None
    assert websocket.url == "wss://mail.example.com/ws"


async def test_a_capability_must_be_the_servers_and_the_accounts(router: respx.Router) -> None:
    document = session_document()
    document["capabilities"][QUOTA] = {}
    assert not (await opened(router, **document)).has(QUOTA)
    document["accounts"]["A1"]["accountCapabilities"][QUOTA] = {}
    assert (await opened(router, **document)).has(QUOTA)
    del document["capabilities"][QUOTA]
    assert not (await opened(router, **document)).has(QUOTA)


# -- the account ------------------------------------------------------------------------------------------------------


def account(*, is_personal: bool = True, has_mail: bool = True) -> dict[str, Any]:
    return {"name": "x", "isPersonal": is_personal, "accountCapabilities": {MAIL: {}} if has_mail else {}}


@pytest.mark.parametrize(
    ("accounts", "primary", "wanted", "chosen"),
    [
        ({"A": account(), "B": account()}, {MAIL: "B"}, None, "B"),
        ({"A": account(), "B": account()}, {MAIL: "B"}, "A", "A"),
        ({"A": account()}, {}, None, "A"),
        ({"A": account()}, {MAIL: None}, None, "A"),
        ({"A": account()}, {MAIL: "gone"}, None, "A"),
        ({"A": account(is_personal=False), "B": account()}, {}, None, "B"),
        ({"A": account(has_mail=False), "B": account()}, {MAIL: "A"}, None, "B"),
        ({"A": account(), "C": account()}, {"urn:ietf:params:jmap:core": "C", MAIL: "A"}, None, "A"),
    ],
)
async def test_the_account_is_chosen(
    router: respx.Router, accounts: dict[str, Any], primary: dict[str, Any], wanted: str | None, chosen: str
) -> None:
    document = session_document(accounts=accounts, primaryAccounts=primary)
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=document))
    client = make_client(router, account_id=wanted)
    await client.open()
    assert client.account_id == chosen


@pytest.mark.parametrize(
    ("accounts", "wanted", "error"),
    [
        ({}, None, Denied),
        ({"A": account(has_mail=False)}, None, Denied),
        ({"A": account()}, "B", Denied),
        ({"A": account(), "B": account()}, None, Rejected),
    ],
)
async def test_an_account_that_cannot_be_chosen_is_an_error_that_names_those_there_are(
    router: respx.Router, accounts: dict[str, Any], wanted: str | None, error: type[Exception]
) -> None:
    document = session_document(accounts=accounts, primaryAccounts={})
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=document))
    with pytest.raises(error) as caught:
        await make_client(router, account_id=wanted).open()
    assert wanted is None or "there are: A" in str(caught.value)


# -- reading again ----------------------------------------------------------------------------------------------------


async def test_the_session_is_read_again_when_its_state_changes(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock)
    session = router.get(SESSION_URL).mock(
        return_value=httpx.Response(200, json=session_document(state="s2", apiUrl="/new/"))
    )
    old = router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    new = router.post(f"{HOST}/new/").mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    for _ in range(4):
        await ask(client)
    assert (old.call_count, new.call_count, session.call_count) == (1, 3, 1 + 1)


async def test_a_changed_limit_is_obeyed(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock)
    document = session_document(state="s2")
    document["capabilities"]["urn:ietf:params:jmap:core"]["maxCallsInRequest"] = 1
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=document))
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    with pytest.raises(ValueError, match="takes 1"):
        await client.call(Call("Core/echo", {}, "1"), Call("Core/echo", {}, "2"))


async def test_a_state_that_never_changes_leads_to_no_reading(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock, state="0")
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="0"))
    for _ in range(5):
        clock.advance(LONGEST_PAUSE_S)
        await ask(client)
    assert router.get(SESSION_URL).call_count == 1


async def test_a_state_that_never_agrees_leads_to_one_reading(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock, state="in the document")
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="in replies"))
    for _ in range(5):
        clock.advance(LONGEST_PAUSE_S)
        await ask(client)
    assert router.get(SESSION_URL).call_count == 2


async def test_a_state_that_always_changes_leads_to_ever_fewer_readings(
    router: respx.Router, clock: SkippingClock
) -> None:
    client = await opened(router, clock)
    replies = (api_reply(("Core/echo", {}, "e"), state=f"r{number}") for number in range(10_000))
    router.post(API_URL).mock(side_effect=lambda _request: next(replies))
    for _ in range(500):
        clock.advance(10)
        await ask(client)
    # 5000 s: at 10, 20, 40, ... seconds from one another.
    assert router.get(SESSION_URL).call_count <= 1 + 9


async def test_a_session_that_cannot_be_read_again_stays_as_it_was(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock)
    session = router.get(SESSION_URL).mock(return_value=httpx.Response(502))
    api = router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    await ask(client)
    tried = session.call_count
    assert tried > 1
    await ask(client)
    assert session.call_count == tried
    assert api.call_count == 3


async def test_a_reading_that_is_given_up_is_made_up_for(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock)
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    await ask(client)
    begun = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    router.get(SESSION_URL).mock(side_effect=hang)
    clock.advance(FIRST_PAUSE_S)
    asking = asyncio.create_task(ask(client))
    await begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=session_document(state="s2")))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    assert client.session.state == "s2"
    await client.close()


async def test_a_refused_credential_is_told_on_reading_again(router: respx.Router, clock: SkippingClock) -> None:
    client = await opened(router, clock)
    router.get(SESSION_URL).mock(return_value=httpx.Response(401))
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    with pytest.raises(AuthExpired):
        await ask(client)


async def test_a_session_that_has_moved_is_found_anew(router: respx.Router, clock: SkippingClock) -> None:
    router.get(SESSION_URL).mock(return_value=httpx.Response(301, headers={"Location": "/old"}))
    router.get(f"{HOST}/old").mock(return_value=httpx.Response(200, json=session_document()))
    client = make_client(router, clock=clock)
    await client.open()
    router.get(f"{HOST}/old").mock(return_value=httpx.Response(404))
    router.get(SESSION_URL).mock(return_value=httpx.Response(301, headers={"Location": "/new"}))
    router.get(f"{HOST}/new").mock(return_value=httpx.Response(200, json=session_document(state="s2")))
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    await ask(client)
    assert client.view.url == f"{HOST}/new"


async def test_the_account_stays_the_same_when_another_becomes_primary(
    router: respx.Router, clock: SkippingClock
) -> None:
    client = await opened(router, clock)
    accounts = session_document()["accounts"] | {"B": account()}
    document = session_document(state="s2", accounts=accounts, primaryAccounts={MAIL: "B"})
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=document))
    router.post(API_URL).mock(return_value=api_reply(("Core/echo", {}, "e"), state="s2"))
    clock.advance(FIRST_PAUSE_S)
    await ask(client)
    await ask(client)
    assert client.session.state == "s2"
    assert client.account_id == "A1"
