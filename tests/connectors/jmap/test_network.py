"""The client and the watcher together, at a stand-in that answers like servers do: limits, quirks, faults and push."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, PasswordCredential, Secret
from connectors.api.errors import AuthExpired, NotFound, OutcomeUnknown, RateLimited, Rejected, Unavailable, Unsupported
from connectors.api.types import BytesContent
from connectors.jmap.calls import Call, referring
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, Pace
from connectors.jmap.settings import JmapSettings, PushKind
from connectors.jmap.structs import CoreCapability, Email, GetReply, QueryReply, SetReply, StateChange
from connectors.jmap.watch import Watcher
from connectors.transport.clock import Clock
from connectors.transport.messages import Effect
from tests.connectors.jmap.offline import SkippingClock
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import EventSourceMode, FakeOptions, FakeUser, Quirk, UrlStyle
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus

MESSAGE = b"From: a@example.com\r\nSubject: x\r\n\r\n" + b"0123456789abcdef\r\n" * 5000
SOON_S = 20.0


def password_of(user: FakeUser) -> Credential:
    return PasswordCredential(user.name, Secret(user.password))


@contextlib.asynccontextmanager
async def at(
    fake: FakeJmap, credential: Credential | None = None, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[JmapClient]:
    """Open a client at the stand-in; in the end it must have kept the rules."""
    chosen = replace(JmapSettings(url=fake.url, timeout_s=SOON_S), **settings)
    client = JmapClient(chosen, FixedCredential(credential or password_of(fake.options.users[0])), clock=clock)
    try:
        await client.open()
        yield client
        fake.assert_no_violations()
    finally:
        await client.close()


def everything(client: JmapClient) -> tuple[Call, Call]:
    query = Call("Email/query", {"accountId": client.account_id}, "q")
    properties = ["id", "blobId", "size"]
    arguments = {"accountId": client.account_id, **referring("ids", query, "/ids"), "properties": properties}
    return query, Call("Email/get", arguments, "g")


async def emails(client: JmapClient) -> list[Email]:
    results = await client.call(*everything(client))
    found = results.get("g", GetReply[Email]).items
    assert [email.id for email in found] == results.get("q", QueryReply).ids
    return found


async def read(client: JmapClient, email: Email) -> bytes:
    assert email.blob_id is not None
    assert email.size is not None
    content = await client.download(email.blob_id, email.size)
    return b"".join([chunk async for chunk in content.chunks()])


# -- the session ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("urls", list(UrlStyle))
@pytest.mark.parametrize("is_token", [False, True])
async def test_mail_goes_both_ways_wherever_the_urls_lead(urls: UrlStyle, is_token: bool) -> None:
    async with running_fake(FakeOptions(urls=urls, redirects=2)) as fake:
        fake.deliver("INBOX", MESSAGE)
        user = fake.options.users[0]
        credential = BearerCredential(user.name, Secret(user.token)) if is_token else password_of(user)
        async with at(fake, credential, url=fake.well_known_url) as client:
            (email,) = await emails(client)
            assert await read(client, email) == MESSAGE
            blob = await client.upload(BytesContent(MESSAGE))
            assert blob.size == len(MESSAGE)
        assert {exchange.scheme for exchange in fake.stats.exchanges} == {"bearer" if is_token else "basic"}


async def test_hosts_that_are_not_allowed_see_no_credential() -> None:
    async with running_fake(FakeOptions(urls=UrlStyle.OTHER_HOST)) as fake:
        with pytest.raises(Rejected, match="allowed_hosts"):
            async with at(fake, allowed_hosts=("files.example.com",)):
                pass
        assert {exchange.kind for exchange in fake.stats.exchanges} == {"session"}


async def test_a_session_that_moves_to_another_host_is_followed_only_if_that_is_allowed() -> None:
    async with running_fake() as fake:
        before = fake.url
        fake.move_session(to_other_host=True)
        with pytest.raises(Rejected, match="allowed_hosts names localhost"):
            async with at(fake, url=before):
                pass
        async with at(fake, url=before, allowed_hosts=("localhost", "127.0.0.1")) as client:
            assert client.view.url == fake.url


@pytest.mark.parametrize(
    ("quirk", "expected"),
    [
        (Quirk.LIMITS_MISSING, CoreCapability()),
        (Quirk.LIMITS_MISSPELT, CoreCapability(max_concurrent_requests=3, max_objects_in_get=9)),
    ],
)
async def test_limits_are_read_as_servers_give_them(quirk: Quirk, expected: CoreCapability) -> None:
    options = FakeOptions(quirks=frozenset({quirk}), max_concurrent_requests=3, max_objects_in_get=9)
    async with running_fake(options) as fake, at(fake) as client:
        assert client.limits == expected


@pytest.mark.parametrize(
    ("quirks", "most"), [((), 1), ((Quirk.SESSION_STATE_CONSTANT,), 1), ((Quirk.SESSION_STATE_MOVES,), 6)]
)
async def test_the_session_is_not_read_for_ever(quirks: tuple[Quirk, ...], most: int) -> None:
    clock = SkippingClock()
    async with running_fake(FakeOptions(quirks=frozenset(quirks))) as fake, at(fake, clock=clock) as client:
        for _ in range(30):
            clock.advance(10)
            await emails(client)
        assert fake.stats.requests["session"] <= most


async def test_a_lowered_limit_is_noticed() -> None:
    clock = SkippingClock()
    async with running_fake() as fake, at(fake, clock=clock) as client:
        clock.advance(60)
        fake.configure(max_calls_in_request=2)
        await emails(client)
        await emails(client)
        assert client.limits.max_calls_in_request == 2
        with pytest.raises(ValueError, match="takes 2"):
            await client.call(*everything(client), Call("Core/echo", {}, "e"))


# -- limits and faults ------------------------------------------------------------------------------------------------


async def test_many_requests_at_once_keep_to_the_limits_of_the_server() -> None:
    options = FakeOptions(max_concurrent_requests=2, max_concurrent_upload=1)
    async with running_fake(options) as fake, at(fake, max_concurrent=8) as client:
        content = BytesContent(MESSAGE)
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(emails(client))
                group.create_task(client.upload(content))
        assert fake.stats.requests["api"] == 12
        assert fake.stats.requests["upload"] == 12
        assert fake.stats.errors == {}


async def test_throttling_is_waited_out() -> None:
    clock = SkippingClock()
    async with running_fake() as fake, at(fake, clock=clock) as client:
        fake.throttle(times=2, retry_after_s=7)
        await emails(client)
        assert sum(clock.slept) >= 14
        fake.throttle(times=1, retry_after_s=900)
        with pytest.raises(RateLimited) as caught:
            await emails(client)
        assert caught.value.retry_after_s >= 890


@pytest.mark.parametrize("kind", ["cut", "cut-after", "broken-json", "page", "status", "status-after"])
async def test_a_broken_write_is_of_unknown_outcome_and_not_repeated(kind: str) -> None:
    async with running_fake() as fake, at(fake) as client:
        call = Call("Mailbox/set", {"accountId": client.account_id, "create": {"c": {"name": "New"}}}, "s")
        fake.fail_next("api", kind)
        with pytest.raises(OutcomeUnknown):
            await client.call(call, effect=Effect.WRITE)
        assert fake.stats.requests["api"] == 1
        made = (await client.call(replace(call, arguments=call.arguments | {"create": {"d": {"name": "Newer"}}})),)
        assert made[0].get("s", SetReply[Email]).created is not None


@pytest.mark.parametrize("kind", ["cut", "cut-after", "status", "status-after"])
async def test_a_broken_read_is_repeated(kind: str) -> None:
    async with running_fake() as fake, at(fake, clock=SkippingClock()) as client:
        fake.deliver("INBOX", MESSAGE)
        fake.fail_next("api", kind, times=2)
        assert len(await emails(client)) == 1


async def test_a_download_that_is_cut_short_is_an_error() -> None:
    async with running_fake() as fake, at(fake) as client:
        fake.deliver("INBOX", MESSAGE)
        (email,) = await emails(client)
        fake.fail_next("download", "cut-body", octets=1000)
        with pytest.raises(Unavailable):
            await read(client, email)
        assert await read(client, email) == MESSAGE


async def test_a_download_of_a_message_that_is_gone_is_not_found() -> None:
    async with running_fake() as fake, at(fake) as client:
        with pytest.raises(NotFound):
            await read(client, Email(id="e", blob_id="Gnone", size=1))


async def test_an_upload_that_is_cut_is_repeated() -> None:
    async with running_fake() as fake, at(fake, clock=SkippingClock()) as client:
        fake.fail_next("upload", "cut")
        assert (await client.upload(BytesContent(MESSAGE))).size == len(MESSAGE)


async def test_credentials_that_are_withdrawn_want_a_new_login() -> None:
    async with running_fake() as fake, at(fake) as client:
        fake.change_credentials("alice", password="another")
        with pytest.raises(AuthExpired):
            await emails(client)


# -- push -------------------------------------------------------------------------------------------------------------

QUICK = Pace(ping_s=1, silence_s=0.4, buffered_s=SOON_S, first_s=0.001, longest_s=0.01, steady_s=60)
STEADY = Pace(first_s=0.001, longest_s=0.01)


@contextlib.asynccontextmanager
async def watching(client: JmapClient, pace: Pace) -> AsyncIterator[AsyncGenerator[StateChange, None]]:
    async with contextlib.aclosing(Watcher(client, pace).events()) as events, asyncio.timeout(SOON_S):
        assert await anext(events) is ANYTHING
        yield events


def push_options(push: PushKind) -> FakeOptions:
    return FakeOptions(websocket=push is PushKind.WEB_SOCKET)


@pytest.mark.parametrize("push", [PushKind.EVENT_SOURCE, PushKind.WEB_SOCKET])
async def test_new_mail_is_told_at_once(push: PushKind) -> None:
    async with (
        running_fake(push_options(push)) as fake,
        at(fake, push=push) as client,
        watching(client, STEADY) as events,
    ):
        fake.deliver("INBOX", MESSAGE)
        assert client.account_id in (await anext(events)).changed
        fake.create_mailbox("New")
        assert set((await anext(events)).changed[client.account_id]) == {"Mailbox"}


@pytest.mark.parametrize("push", [PushKind.EVENT_SOURCE, PushKind.WEB_SOCKET])
async def test_a_lost_channel_is_opened_anew_and_goes_on(push: PushKind) -> None:
    kind = "events" if push is PushKind.EVENT_SOURCE else "websocket"
    async with running_fake(push_options(push)) as fake, at(fake, push=push) as client:
        async with watching(client, STEADY) as events:
            for number in range(3):
                fake.deliver("INBOX", MESSAGE + str(number).encode())
                assert (await anext(events)).changed
                fake.drop_connections()
                assert await anext(events) is ANYTHING
        assert fake.stats.requests[kind] == 4


async def test_a_websocket_is_taken_before_an_event_source() -> None:
    async with running_fake(FakeOptions(websocket=True)) as fake, at(fake) as client, watching(client, STEADY):
        assert fake.stats.requests["websocket"] == 1
        assert fake.stats.requests["events"] == 0


async def test_a_bare_url_of_the_event_source_is_completed() -> None:
    options = FakeOptions(quirks=frozenset({Quirk.BARE_EVENT_SOURCE_URL}))
    async with running_fake(options) as fake, at(fake) as client, watching(client, STEADY) as events:
        fake.deliver("INBOX", MESSAGE)
        assert (await anext(events)).changed


async def test_a_server_without_push_is_asked_once() -> None:
    options = FakeOptions(event_source=EventSourceMode.NONE_204)
    async with running_fake(options) as fake, at(fake) as client:
        gate = fake.hold("events:done")
        events = Watcher(client, STEADY).events()
        ending = asyncio.ensure_future(anext(events, None))
        await gate.arrived()
        gate.release()
        fake.deliver("INBOX", MESSAGE)
        await emails(client)
        assert not ending.done()
        await client.close()
        assert await ending is None
        assert fake.stats.requests["events"] == 1


async def test_a_stream_that_dies_after_each_event_loses_nothing() -> None:
    options = FakeOptions(event_source=EventSourceMode.DIES)
    async with running_fake(options) as fake, at(fake) as client, watching(client, STEADY) as events:
        for number in range(3):
            fake.deliver("INBOX", MESSAGE + str(number).encode())
            while await anext(events) is ANYTHING:
                pass


async def test_a_proxy_that_buffers_is_outwitted() -> None:
    options = FakeOptions(event_source=EventSourceMode.BUFFERING)
    async with running_fake(options) as fake, at(fake) as client, watching(client, QUICK) as events:
        for _ in range(2):
            assert await anext(events) is ANYTHING
        fake.deliver("INBOX", MESSAGE)
        assert client.account_id in (await anext(events)).changed
        assert await anext(events) is ANYTHING


async def test_a_stream_that_stalls_is_opened_anew() -> None:
    options = FakeOptions(event_source=EventSourceMode.STALLS)
    pace = replace(QUICK, buffered_s=0.2)
    async with running_fake(options) as fake, at(fake) as client, watching(client, pace) as events:
        for _ in range(3):
            assert await anext(events) is ANYTHING
        fake.options = replace(fake.options, event_source=EventSourceMode.PROPER)
        assert await anext(events) is ANYTHING
        fake.deliver("INBOX", MESSAGE)
        while not (await anext(events)).changed:
            pass


async def test_a_server_that_goes_and_comes_is_found_again() -> None:
    async with contextlib.AsyncExitStack() as stack:
        fake = FakeJmap()
        async with running_fake(fake=fake) as served:
            port = served.origins.primary.rpartition(":")[2]
            client = await stack.enter_async_context(at(served))
            events = await stack.enter_async_context(watching(client, STEADY))
        async with running_fake(fake=fake, port=int(port)):
            while await anext(events) is not ANYTHING:
                pass
            fake.deliver("INBOX", MESSAGE)
            assert client.account_id in (await anext(events)).changed


# -- a real server ----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def at_cyrus(cyrus: Cyrus, user: str) -> AsyncIterator[JmapClient]:
    credential = PasswordCredential(user, Secret(cyrus.password))
    client = JmapClient(JmapSettings(url=cyrus.jmap_url), FixedCredential(credential))
    try:
        await client.open()
        yield client
    finally:
        await client.close()


async def test_cyrus_gives_and_takes_mail_octet_for_octet(cyrus: Cyrus) -> None:
    user = cyrus.fresh_user()
    cyrus.deliver(user, "INBOX", MESSAGE)
    async with at_cyrus(cyrus, user) as client:
        (email,) = await emails(client)
        assert await read(client, email) == MESSAGE
        octets = bytes(range(1, 256)) * 100
        blob = await client.upload(BytesContent(octets))
        assert await read(client, Email(id="e", blob_id=blob.id, size=blob.size)) == octets


async def test_cyrus_refuses_in_the_words_of_the_contract(cyrus: Cyrus) -> None:
    user = cyrus.fresh_user()
    async with at_cyrus(cyrus, user) as client:
        nonsense = Call("Email/changes", {"accountId": client.account_id, "sinceState": "nonsense"}, "c")
        error = (await client.call(nonsense)).error("c")
        assert error is not None
        assert error.type == "invalidArguments"
        with pytest.raises(Unsupported):
            await client.call(nonsense, using=["urn:example:unheard-of"])
        with pytest.raises(NotFound):
            await read(client, Email(id="e", blob_id="G" + "0" * 40, size=1))
    wrong = JmapClient(
        JmapSettings(url=cyrus.jmap_url), FixedCredential(PasswordCredential(user, Secret("not the password")))
    )
    with pytest.raises(AuthExpired):
        await wrong.open()
    await wrong.close()


class Awaited(logging.Handler):
    """Keeps what is logged, and waits for a line."""

    def __init__(self, wanted: str) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.came = asyncio.Event()
        self._wanted = wanted

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self._wanted in self.lines[-1]:
            self.came.set()


async def test_cyrus_has_no_push_and_is_left_in_peace(cyrus: Cyrus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="connectors.jmap.watch")
    said = Awaited("no push from the JMAP server")
    log = logging.getLogger("connectors.jmap.watch")
    log.addHandler(said)
    try:
        async with at_cyrus(cyrus, cyrus.fresh_user()) as client, asyncio.timeout(SOON_S):
            ending = asyncio.ensure_future(anext(Watcher(client, STEADY).events(), None))
            await said.came.wait()
            assert not ending.done()
            await client.close()
            assert await ending is None
    finally:
        log.removeHandler(said)
    assert [line for line in said.lines if "204" in line] == ["no event source: the event source answered 204"]
