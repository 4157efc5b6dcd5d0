"""JMAP over WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.fakes.jmap.capabilities import CORE, WEBSOCKET
from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions

MESSAGE = b"Subject: x\r\n\r\n"


@pytest.fixture
def options() -> FakeOptions:
    return FakeOptions(websocket=True)


@asynccontextmanager
async def connected(client: Client, subprotocol: str = "jmap", **headers: str) -> AsyncIterator[ClientConnection]:
    sent = {"Authorization": f"Bearer {client.user.token}", **headers}
    url = client.session["capabilities"][WEBSOCKET]["url"]
    async with connect(url, subprotocols=[Subprotocol(subprotocol)], additional_headers=sent, proxy=None) as socket:
        yield socket


async def send(socket: ClientConnection, **document: Any) -> None:
    await socket.send(json.dumps({key.replace("at_", "@"): value for key, value in document.items()}))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await socket.recv())
    return document


def echo(text: str) -> dict[str, Any]:
    return {"at_type": "Request", "using": [CORE], "methodCalls": [["Core/echo", {"x": text}, "c"]]}


async def test_requests_are_answered_with_their_ids(fake: FakeJmap, client: Client) -> None:
    async with connected(client) as socket:
        await send(socket, id="R1", **echo("one"))
        reply = await receive(socket)
        assert (reply["@type"], reply["requestId"]) == ("Response", "R1")
        assert reply["methodResponses"] == [["Core/echo", {"x": "one"}, "c"]]
        await send(socket, **echo("two"))
        assert "requestId" not in await receive(socket)
    fake.assert_no_violations()


async def test_requests_may_be_answered_out_of_order(fake: FakeJmap, client: Client) -> None:
    gate = fake.hold("Mailbox/get")
    async with connected(client) as socket:
        calls = [["Mailbox/get", {"accountId": client.account_id, "ids": []}, "c"]]
        await send(socket, at_type="Request", id="slow", using=[CORE, "urn:ietf:params:jmap:mail"], methodCalls=calls)
        await gate.arrived()
        await send(socket, id="fast", **echo("x"))
        assert (await receive(socket))["requestId"] == "fast"
        gate.release()
        assert (await receive(socket))["requestId"] == "slow"


@pytest.mark.parametrize(
    ("frame", "kind", "request_id"),
    [
        ("The quick brown fox", "notJSON", None),
        ("[]", "notRequest", None),
        ('{"@type": "Other", "id": "a"}', "notRequest", "a"),
        ('{"@type": "Request", "id": "a", "using": ["urn:x"], "methodCalls": []}', "unknownCapability", "a"),
        ('{"@type": "WebSocketPushEnable"}', "notRequest", None),
        ('{"@type": "WebSocketPushEnable", "dataTypes": ["Calendar"]}', "notRequest", None),
    ],
)
async def test_errors_are_told_and_the_connection_stays(
    fake: FakeJmap, client: Client, frame: str, kind: str, request_id: str | None
) -> None:
    async with connected(client) as socket:
        await socket.send(frame)
        reply = await receive(socket)
        assert (reply["@type"], reply["requestId"]) == ("RequestError", request_id)
        assert reply["type"].endswith(kind)
        await send(socket, **echo("x"))
        assert (await receive(socket))["@type"] == "Response"
    assert len(fake.violations) == 1


async def test_changes_are_pushed_once_enabled(fake: FakeJmap, client: Client) -> None:
    async with connected(client) as socket:
        fake.deliver("INBOX", MESSAGE)
        await send(socket, at_type="WebSocketPushEnable", dataTypes=["Email"])
        await send(socket, **echo("x"))
        assert (await receive(socket))["@type"] == "Response"
        fake.deliver("INBOX", MESSAGE)
        pushed = await receive(socket)
        assert pushed["@type"] == "StateChange"
        assert pushed["changed"] == {client.account_id: {"Email": fake.account().state("Email")}}
        await send(socket, at_type="WebSocketPushDisable")
        await send(socket, **echo("x"))
        assert (await receive(socket))["@type"] == "Response"
        fake.deliver("INBOX", MESSAGE)
        await send(socket, **echo("y"))
        assert (await receive(socket))["@type"] == "Response"
    fake.assert_no_violations()


async def test_a_push_state_brings_what_was_missed(fake: FakeJmap, client: Client) -> None:
    async with connected(client) as socket:
        await send(socket, at_type="WebSocketPushEnable", dataTypes=None)
        await send(socket, **echo("x"))
        await receive(socket)
        fake.deliver("INBOX", MESSAGE)
        push_state = (await receive(socket))["pushState"]
    fake.create_mailbox("New")
    async with connected(client) as socket:
        await send(socket, at_type="WebSocketPushEnable", dataTypes=None, pushState=push_state)
        assert (await receive(socket))["changed"] == {client.account_id: {"Mailbox": fake.account().state("Mailbox")}}


async def test_connections_can_be_cut(fake: FakeJmap, client: Client) -> None:
    async with connected(client) as socket:
        await send(socket, at_type="WebSocketPushEnable", dataTypes=None)
        await send(socket, **echo("x"))
        await receive(socket)
        fake.drop_connections()
        with pytest.raises(ConnectionClosed):
            await receive(socket)


async def test_a_binary_frame_closes_the_connection(fake: FakeJmap, client: Client) -> None:
    async with connected(client) as socket:
        await socket.send(b"{}")
        with pytest.raises(ConnectionClosed):
            await receive(socket)
    assert len(fake.violations) == 1


async def test_handshakes_that_are_refused(fake: FakeJmap, client: Client) -> None:
    for status, subprotocol, token in ((401, "jmap", "Bearer wrong"), (400, "xmpp", f"Bearer {client.user.token}")):
        with pytest.raises(InvalidStatus) as caught:
            async with connected(client, subprotocol, Authorization=token):
                pass
        assert caught.value.response.status_code == status
    fake.throttle(status=503)
    with pytest.raises(InvalidStatus) as caught:
        async with connected(client):
            pass
    assert caught.value.response.status_code == 503
    assert [violation.where for violation in fake.violations] == ["websocket"]
