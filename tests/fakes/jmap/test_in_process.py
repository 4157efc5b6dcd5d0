"""The stand-in without a network: what either side does to the connection, the other notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.in_process import InProcessServer

EVENTS = {"types": "*", "closeafter": "no", "ping": "0"}


@asynccontextmanager
async def opened(fake: FakeJmap) -> AsyncIterator[tuple[InProcessServer, Client]]:
    server = InProcessServer(fake)
    client = Client(fake)
    token = client.user.token
    await client.http.aclose()
    client.http = httpx.AsyncClient(transport=server.transport(), headers={"Authorization": f"Bearer {token}"})
    async with client:
        yield server, client
    await server.close()


async def test_mail_is_uploaded_imported_and_read() -> None:
    fake = FakeJmap()
    async with opened(fake) as (_, client):
        blob_id = await client.upload(b"Subject: x\r\n\r\n" + b"y" * 100_000)
        message = {"blobId": blob_id, "mailboxIds": {fake.mailbox("INBOX").id: True}}
        made = await client.call("Email/import", emails={"one": message})
        assert made["created"]["one"]["size"] == 100_014
        assert await client.download(blob_id) == fake.emails_in("INBOX")[0].content.data
    fake.assert_no_violations()


@pytest.mark.parametrize(("kind", "is_done"), [("cut", False), ("cut-after", True)])
async def test_a_connection_is_cut_before_or_after_the_work(kind: str, is_done: bool) -> None:
    fake = FakeJmap()
    email_id = fake.deliver("INBOX", b"Subject: x\r\n\r\n")
    async with opened(fake) as (_, client):
        fake.fail_next("Email/set", kind)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.call("Email/set", update={email_id: {"keywords/$seen": True}})
    assert ("$seen" in fake.email(email_id).keywords) == is_done


async def test_a_reply_is_cut_amid_its_body() -> None:
    fake = FakeJmap()
    async with opened(fake) as (_, client):
        fake.fail_next("api", "cut-body", octets=10)
        async with client.http.stream("POST", client.url("apiUrl"), json={"using": [], "methodCalls": []}) as reply:
            pieces = reply.aiter_raw()
            assert len(await anext(pieces)) == 10
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(pieces)


async def test_the_server_goes_on_when_its_client_has_gone() -> None:
    fake = FakeJmap()
    email_id = fake.deliver("INBOX", b"Subject: x\r\n\r\n")
    async with opened(fake) as (server, client):
        gate = fake.hold("Email/set")
        call = asyncio.create_task(client.call("Email/set", update={email_id: {"keywords/$seen": True}}))
        await gate.arrived()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert fake.email(email_id).keywords == set()
        gate.release()
        await server.idle()
        assert fake.email(email_id).keywords == {"$seen"}


async def test_a_hung_request_ends_when_its_client_gives_up() -> None:
    fake = FakeJmap()
    async with opened(fake) as (server, client):
        fake.fail_next("api", "hang")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await client.call("Mailbox/get", ids=None)
        await server.idle()


async def test_events_come_until_one_side_leaves() -> None:
    fake = FakeJmap()
    async with opened(fake) as (server, client):
        for is_dropped in (False, True):
            async with client.http.stream("GET", client.url("eventSourceUrl", **EVENTS)) as stream:
                texts = stream.aiter_text()
                assert await anext(texts) == ": hello\n\n"
                await server.idle()
                fake.deliver("INBOX", b"Subject: x\r\n\r\n")
                assert "event: state" in await anext(texts)
                if is_dropped:
                    fake.drop_connections()
                    with pytest.raises(httpx.RemoteProtocolError):
                        await anext(texts)
        await asyncio.sleep(0)
    assert fake.push.subscriptions == set()


async def test_closing_a_transport_ends_the_connections_of_its_client_alone() -> None:
    fake = FakeJmap()
    async with (
        opened(fake) as (server, client),
        httpx.AsyncClient(transport=server.transport(), headers=client.http.headers) as other,
        client.http.stream("GET", client.url("eventSourceUrl", **EVENTS)) as stream,
        other.stream("GET", client.url("eventSourceUrl", **EVENTS)) as cut,
    ):
        pieces, cut_pieces = stream.aiter_raw(), cut.aiter_raw()
        assert await anext(pieces) == await anext(cut_pieces)
        assert len(server.connections.open) == 2
        await other.aclose()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(cut_pieces)
        assert len(server.connections.open) == 1
        fake.deliver("INBOX", b"Subject: x\r\n\r\n")
        assert b"event: state" in await anext(pieces)


async def test_whoever_waits_for_the_server_learns_of_an_error_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(where: str) -> None:
        raise LookupError(where)

    fake = FakeJmap()
    monkeypatch.setattr(fake, "pass_gate", fail)
    server = InProcessServer(fake)
    async with httpx.AsyncClient(transport=server.transport()) as client:
        assert (await client.get(fake.url)).status_code == 500
    with pytest.raises(LookupError, match="session"):
        await server.idle()
