"""Tokens over MSAL: one flight, kept before use, and what a person is told when there are none."""

from __future__ import annotations

import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from connectors.api.credentials import BearerCredential, CredentialRecord, Secret
from connectors.api.errors import AuthExpired, ConnectorError, Denied, Unavailable
from connectors.graph.cloud import Cloud
from connectors.graph.identity import AppIdentity
from connectors.graph.settings import AppendBy, GraphSettings
from connectors.graph.tokens import (
    ImapTokenGiver,
    app_certificate_source,
    app_secret_source,
    consent_source,
    fixed_source,
    imap_scopes,
    mail_scopes,
)
from tests.connectors.graph.certificate import pem_of, self_signed
from tests.connectors.graph.login_service import Keeper, LoginService, refresh_token_of, refused
from tests.connectors.transport.jumping_clock import JumpingClock

APP = AppIdentity("client-1")


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def service() -> LoginService:
    return LoginService()


@pytest.fixture
def keeper(service: LoginService) -> Keeper:
    return Keeper(client_id="client-1", token_cache=service.token_cache(APP))


def token(text: str) -> BearerCredential:
    return BearerCredential("", Secret(text))


async def test_a_token_is_asked_for_once_and_kept(service: LoginService, keeper: Keeper, clock: JumpingClock) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    found = await asyncio.gather(*(source.get() for _ in range(50)))
    assert set(found) == {token("access-2")}
    assert await source.get() == token("access-2")
    assert len(service.forms) == 1
    assert service.forms[0]["refresh_token"] == "refresh-1"
    assert "https://graph.microsoft.com/Mail.ReadWrite" in service.forms[0]["scope"].split()


async def test_the_loop_is_never_blocked_by_msal(service: LoginService, keeper: Keeper, clock: JumpingClock) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    service.threads.clear()
    await source.get()
    assert service.threads
    assert "MainThread" not in service.threads


async def test_a_login_does_not_wait_for_the_threads_that_read_mail(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    busy = threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    blocked = asyncio.create_task(asyncio.to_thread(busy.wait))
    try:
        async with asyncio.timeout(20):
            assert await consent_source(keeper.record(), clock=clock, transport=service).get() == token("access-2")
    finally:
        busy.set()
        await blocked


async def test_a_changed_token_cache_is_saved_before_the_token_is_used(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    before = keeper.on_disk["token_cache"]
    seen: list[bool] = []
    waiting = asyncio.create_task(source.get())
    keeper.on_save = lambda: seen.append(waiting.done())
    await waiting
    assert seen == [False]
    assert keeper.saves == 1
    assert keeper.on_disk["token_cache"] != before
    assert refresh_token_of(keeper.on_disk["token_cache"]) == "refresh-2"


async def test_a_token_is_not_used_until_what_came_with_it_is_saved(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    keeper.is_full = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="disk is full"):
            await source.get()
    keeper.is_full = False
    assert await source.get() == token("access-2")
    assert refresh_token_of(keeper.on_disk["token_cache"]) == "refresh-2"
    assert len(service.forms) == 1


async def test_a_restart_goes_on_with_what_is_saved(service: LoginService, keeper: Keeper, clock: JumpingClock) -> None:
    assert await consent_source(keeper.record(), clock=clock, transport=service).get() == token("access-2")
    again = consent_source(keeper.record(), clock=clock, transport=service)
    assert await again.get() == token("access-2")
    assert len(service.forms) == 1


async def test_a_token_is_replaced_before_it_expires(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    service.expires_in = 600
    source = consent_source(keeper.record(), clock=clock, transport=service)
    assert await source.get() == token("access-2")
    clock.advance(299)
    assert await source.get() == token("access-2")
    clock.advance(2)
    # MSAL has another clock, by which the first is good still.
    await source.refused(token("access-2"))
    assert await source.get() == token("access-3")


async def test_a_refused_token_is_not_handed_out_again(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    first = await source.get()
    assert first is not None
    await source.refused(token("another"))
    assert await source.get() == first
    await source.refused(first)
    assert await source.get() == token("access-3")


async def test_claims_are_passed_on_once(service: LoginService, keeper: Keeper, clock: JumpingClock) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    await source.get()
    source.challenge('{"access_token":{"nbf":{"essential":true}}}')  # type: ignore[attr-defined]
    await source.refused(token("access-2"))
    assert await source.get() == token("access-3")
    await source.refused(token("access-3"))
    await source.get()
    assert ["claims" in form for form in service.forms] == [False, True, False]


async def test_an_ended_login_says_what_to_do_and_is_not_asked_about_by_every_session(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    service.good.clear()
    source = consent_source(keeper.record(), clock=clock, transport=service)
    for _ in range(3):
        with pytest.raises(AuthExpired, match="account passwd") as caught:
            await source.get()
        assert "AADSTS70043" in caught.value.operator_text
        assert "refresh-1" not in caught.value.operator_text
    assert len(service.forms) == 1


async def test_a_login_that_is_good_again_works_without_a_restart(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    """MSAL itself would answer with the old refusal for a minute by the wall clock."""
    good = set(service.good)
    service.good.clear()
    source = consent_source(keeper.record(), clock=clock, transport=service)
    with pytest.raises(AuthExpired):
        await source.get()
    service.good |= good
    clock.advance(61)
    assert await source.get() == token("access-2")


@pytest.mark.parametrize(
    "trouble",
    [
        (503, {"error": "x"}),
        (429, {"error": "x"}),
        (400, refused("temporarily_unavailable", 90033)),
        (200, ["no object"]),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
    ],
    ids=str,
)
async def test_trouble_that_passes_is_no_ended_login(
    trouble: tuple[int, object] | Exception, service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    service.refusals.append(trouble)
    source = consent_source(keeper.record(), clock=clock, transport=service)
    with pytest.raises(Unavailable):
        await source.get()
    assert await source.get() == token("access-2")


async def test_while_no_other_is_to_be_had_a_token_is_used_to_its_end(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    service.expires_in = 250
    source = consent_source(keeper.record(), clock=clock, transport=service)
    assert await source.get() == token("access-2")
    clock.advance(200)
    service.refusals = [httpx.ConnectError("x")] * 2
    assert await source.get() == token("access-2")
    clock.advance(49)
    with pytest.raises(Unavailable):
        await source.get()
    assert await source.get() == token("access-3")


async def test_what_another_process_has_saved_is_tried_before_a_login_counts_as_ended(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    ours = consent_source(keeper.record(), clock=clock, transport=service)
    theirs = consent_source(keeper.record(), clock=clock, transport=service)
    assert await theirs.get() == token("access-2")
    service.good.discard("refresh-1")
    # The refresh token is of no use any more, but what they have saved holds another, and an access token.
    assert await ours.get() == token("access-2")


async def test_a_token_cache_that_is_none_asks_for_a_login(service: LoginService, clock: JumpingClock) -> None:
    for text in ("{", "{}", "[]"):
        keeper = Keeper(client_id="client-1", token_cache=text)
        with pytest.raises(ConnectorError) as caught:
            await consent_source(keeper.record(), clock=clock, transport=service).get()
        assert isinstance(caught.value, AuthExpired)


async def test_a_web_app_proves_itself_with_its_secret(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    keeper.on_disk["client_secret"] = Secret("s3cret")
    assert await consent_source(keeper.record(), clock=clock, transport=service).get() == token("access-2")
    assert service.forms[0]["client_secret"] == "s3cret"


async def test_who_gives_up_waiting_does_not_cut_the_flight_off(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(), clock=clock, transport=service)
    waiting = asyncio.create_task(source.get())
    await asyncio.sleep(0)
    waiting.cancel()
    assert await source.get() == token("access-2")
    assert keeper.saves == 1
    assert len(service.forms) == 1


# -- the application itself --------------------------------------------------------------------------------------------

MAILBOX = {"mailbox": "alex@example.org"}


def app(tenant: str = "tenant-1") -> Keeper:
    return Keeper(client_id="client-1", tenant=tenant, client_secret="s3cret")


async def test_an_application_asks_for_whatever_it_was_granted(service: LoginService, clock: JumpingClock) -> None:
    source = app_secret_source(app().record(MAILBOX), clock=clock, transport=service)
    first = await source.get()
    assert first == token("access-1")
    [form] = service.forms
    assert form["scope"] == "https://graph.microsoft.com/.default"
    assert form["client_secret"] == "s3cret"
    assert "/tenant-1/" in service.urls[-1]
    await source.refused(token("access-1"))
    assert await source.get() == token("access-2")


@pytest.mark.parametrize("tenant", ["common", "organizations", "Consumers"])
async def test_an_application_needs_its_own_organisation(
    tenant: str, service: LoginService, clock: JumpingClock
) -> None:
    with pytest.raises(AuthExpired, match="tenant: "):
        await app_secret_source(app(tenant).record(MAILBOX), clock=clock, transport=service).get()
    assert service.urls == []


async def test_an_application_has_no_mailbox_of_its_own(service: LoginService, clock: JumpingClock) -> None:
    with pytest.raises(AuthExpired, match="mailbox: "):
        await app_secret_source(app().record(), clock=clock, transport=service).get()
    assert service.urls == []


async def test_an_unknown_tenant_is_named(service: LoginService, clock: JumpingClock) -> None:
    with pytest.raises(AuthExpired, match="'nowhere'"):
        await app_secret_source(app("nowhere").record(MAILBOX), clock=clock, transport=service).get()


async def test_a_wrong_secret_says_so(service: LoginService, clock: JumpingClock) -> None:
    service.refusals.append((401, refused("invalid_client", 7000215)))
    with pytest.raises(AuthExpired, match="client_secret is wrong"):
        await app_secret_source(app().record(MAILBOX), clock=clock, transport=service).get()


async def test_a_certificate_signs_an_assertion(service: LoginService, clock: JumpingClock) -> None:
    key, certificate = self_signed()
    keeper = Keeper(client_id="client-1", tenant="tenant-1", certificate=pem_of(key, certificate))
    source = app_certificate_source(keeper.record(MAILBOX), clock=clock, transport=service)
    assert await source.get() == token("access-1")
    signed, _, signature = service.forms[0]["client_assertion"].rpartition(".")
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
    key.public_key().verify(base64.urlsafe_b64decode(signature + "=="), signed.encode(), pss, SHA256())
    assert "client_secret" not in service.forms[0]


async def test_a_certificate_that_is_none_says_so(service: LoginService, clock: JumpingClock) -> None:
    keeper = Keeper(client_id="client-1", tenant="tenant-1", certificate="no certificate")
    with pytest.raises(AuthExpired, match="certificate: "):
        await app_certificate_source(keeper.record(MAILBOX), clock=clock, transport=service).get()


# -- for imap ----------------------------------------------------------------------------------------------------------

IMAP = {"append": "imap"}
IMAP_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"


def imap_token(text: str, username: str = "alex@example.org") -> BearerCredential:
    return BearerCredential(username, Secret(text))


async def test_a_consent_gives_tokens_for_imap_beside_those_for_graph(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    by_imap = source.imap()
    assert await source.get() == token("access-2")
    assert await by_imap.get() == imap_token("access-3")
    assert [IMAP_SCOPE in form["scope"].split() for form in service.forms] == [False, True]
    assert "https://graph.microsoft.com/Mail.ReadWrite" not in service.forms[1]["scope"]
    assert (await source.get(), await by_imap.get()) == (token("access-2"), imap_token("access-3"))
    await by_imap.refused(imap_token("access-3"))
    assert (await source.get(), await by_imap.get()) == (token("access-2"), imap_token("access-4"))


async def test_both_tokens_at_once_leave_one_token_cache_with_both(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    first = await asyncio.gather(source.get(), source.imap().get())
    again = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(again, ImapTokenGiver)
    assert await asyncio.gather(again.get(), again.imap().get()) == first
    assert len(service.forms) == 2
    assert refresh_token_of(keeper.on_disk["token_cache"]) == "refresh-3"


async def test_what_one_token_has_left_unsaved_is_saved_before_another_is_asked_for(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    keeper.is_full = True
    with pytest.raises(Unavailable, match="disk is full"):
        await source.get()
    with pytest.raises(Unavailable, match="disk is full"):
        await source.imap().get()
    assert len(service.forms) == 1
    keeper.is_full = False
    assert await source.imap().get() == imap_token("access-3")
    assert service.forms[-1]["refresh_token"] == "refresh-2"
    assert await source.get() == token("access-2")
    assert len(service.forms) == 2


async def test_a_permission_that_lacks_for_imap_leaves_graph_alone(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    source = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    service.refusals = [(400, refused("invalid_grant", 65001))]
    with pytest.raises(AuthExpired, match="consented"):
        await source.imap().get()
    assert await source.get() == token("access-2")


async def test_an_application_asks_for_imap_at_the_server_itself(service: LoginService, clock: JumpingClock) -> None:
    source = app_secret_source(app().record({**MAILBOX, **IMAP}), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    assert await source.imap().get() == imap_token("access-1")
    assert service.forms[-1]["scope"] == "https://outlook.office365.com/.default"


async def test_by_imap_the_login_is_that_of_the_mailbox(
    service: LoginService, keeper: Keeper, clock: JumpingClock
) -> None:
    shared = {"mailbox": "info@example.org", **IMAP}
    source = consent_source(keeper.record(shared), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    assert await source.imap().get() == imap_token("access-2", "info@example.org")


async def test_whose_login_it_is_has_to_be_known_for_imap(service: LoginService, clock: JumpingClock) -> None:
    service.username = ""
    keeper = Keeper(client_id="client-1", token_cache=service.token_cache(APP))
    source = consent_source(keeper.record(IMAP), clock=clock, transport=service)
    assert isinstance(source, ImapTokenGiver)
    with pytest.raises(Denied, match="mailbox: "):
        await source.imap().get()


def test_the_permission_for_imap_is_asked_for_only_where_it_is_used() -> None:
    assert imap_scopes(GraphSettings()) == []
    assert imap_scopes(GraphSettings(append=AppendBy.IMAP)) == [IMAP_SCOPE]
    china = GraphSettings(append=AppendBy.IMAP, cloud=Cloud.CHINA)
    assert imap_scopes(china) == ["https://partner.outlook.cn/IMAP.AccessAsUser.All"]


# -- the rest ----------------------------------------------------------------------------------------------------------


async def test_a_given_token_is_handed_out_as_it_is() -> None:
    record: CredentialRecord = Keeper(access_token="t0k").record()
    assert await fixed_source(record).get() == token("t0k")


def test_permissions_are_asked_for_at_the_cloud_and_for_others_mailboxes_only_if_need_be() -> None:
    assert mail_scopes(GraphSettings()) == ["https://graph.microsoft.com/Mail.ReadWrite"]
    assert mail_scopes(GraphSettings(mailbox="info@example.org"))[1].endswith("/Mail.ReadWrite.Shared")
