"""Push over a WebSocket, on real sockets."""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, Secret
from connectors.api.errors import AuthExpired, Unavailable, Unsupported
from connectors.jmap.client import JmapClient
from connectors.jmap.events import ANYTHING, Pace
from connectors.jmap.settings import JmapSettings, PushKind
from connectors.jmap.structs import StateChange
from connectors.jmap.websocket import MAX_MESSAGE_OCTETS, WebSocketChannel
from tests.connectors.jmap.offline import PASSWORD
from tests.connectors.jmap.sockets import Script, SocketServer, socket_server
from tests.connectors.jmap.streams import client_of


def change(state: str, push_state: str | None = None) -> StateChange:
    return StateChange(changed={"A1": {"Email": state}}, push_state=push_state)


def says(*messages: dict[str, Any] | str | bytes) -> Script:
    async def script(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(json.dumps(message) if isinstance(message, dict) else message)

    return script


def state_change(state: str, **more: Any) -> dict[str, Any]:
    return {"@type": "StateChange", "changed": {"A1": {"Email": state}}, **more}


async def heard(channel: WebSocketChannel) -> list[StateChange]:
    """Listen until the server closes, and return what it told."""
    told: list[StateChange] = []

    async def listen() -> None:
        async for news in channel.listen():
            told.append(news)

    with pytest.raises(Unavailable, match="was closed"):
        await listen()
    return told


async def failing(channel: WebSocketChannel, error: type[Exception], match: str | None = None) -> None:
    with pytest.raises(error, match=match):
        [news async for news in channel.listen()]


@contextlib.asynccontextmanager
async def channel_to(*scripts: Script, **options: Any) -> AsyncIterator[tuple[WebSocketChannel, SocketServer]]:
    async with (
        socket_server(*scripts, **options) as server,
        client_of(server.url, PushKind.WEB_SOCKET) as client,
    ):
        yield WebSocketChannel(client, Pace()), server


async def test_push_is_enabled_and_changes_are_told() -> None:
    async with channel_to(says(state_change("7"), state_change("8"))) as (channel, server):
        assert await heard(channel) == [ANYTHING, change("7"), change("8")]
    assert server.enabled == [{"@type": "WebSocketPushEnable", "dataTypes": ["Email", "Mailbox"]}]
    (request,) = server.requests
    assert request.headers["Sec-WebSocket-Protocol"] == "jmap"
    assert request.headers["Authorization"].startswith("Basic ")


async def test_the_push_state_goes_along_when_connected_anew() -> None:
    async with channel_to(says(state_change("7", pushState="p7"), state_change("8"))) as (channel, server):
        await heard(channel)
        await heard(channel)
    assert [enabled.get("pushState") for enabled in server.enabled] == [None, "p7"]


async def test_what_is_told_while_push_is_turned_on_is_not_lost() -> None:
    async with channel_to(says(state_change("8"))) as (channel, server):
        server.before_answer = json.dumps(state_change("7"))
        assert await heard(channel) == [ANYTHING, change("7"), change("8")]


async def test_a_refusal_while_push_is_turned_on_is_one_of_push() -> None:
    async with channel_to(says()) as (channel, server):
        server.before_answer = json.dumps({"@type": "RequestError", "requestId": None, "status": 400})
        await failing(channel, Unsupported, "refuses to push")


async def test_other_messages_are_passed_over() -> None:
    messages: list[dict[str, Any] | str | bytes] = [
        "nonsense",
        b"\x00",
        {"@type": "Response", "methodResponses": []},
        {"no": "type"},
        state_change("7"),
    ]
    async with channel_to(says(*messages)) as (channel, _server):
        assert await heard(channel) == [ANYTHING, change("7")]


async def test_a_change_that_cannot_be_read_may_be_anything() -> None:
    async with channel_to(says({"@type": "StateChange", "changed": 7})) as (channel, _server):
        assert await heard(channel) == [ANYTHING, ANYTHING]


async def test_a_message_without_measure_is_not_read() -> None:
    async with channel_to(says("x" * (MAX_MESSAGE_OCTETS + 1))) as (channel, _server):
        await failing(channel, Unavailable)


async def test_a_server_that_refuses_to_push_is_left() -> None:
    refusal = {"@type": "RequestError", "type": "urn:ietf:params:jmap:error:notRequest", "status": 400}
    async with channel_to(says(refusal)) as (channel, _server):
        await failing(channel, Unsupported, "refuses to push")


async def test_a_push_state_that_is_refused_is_forgotten() -> None:
    refusal = {"@type": "RequestError", "type": "urn:ietf:params:jmap:error:notRequest", "status": 400}
    async with channel_to(says(state_change("7", pushState="p7")), says(refusal), says()) as (channel, server):
        await heard(channel)
        await failing(channel, Unavailable, "push state")
        await heard(channel)
    assert [enabled.get("pushState") for enabled in server.enabled] == [None, "p7", None]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthExpired),
        (403, Unsupported),
        (404, Unsupported),
        (302, Unsupported),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_refused_handshake_is_mapped(status: int, error: type[Exception]) -> None:
    async with channel_to(says(), refusals=[status]) as (channel, server):
        await failing(channel, error, str(status))
    assert not server.enabled


async def test_a_server_that_speaks_something_else_is_left() -> None:
    async with channel_to(says(), subprotocols=[]) as (channel, _server):
        await failing(channel, Unsupported, "does not speak JMAP")


@pytest.mark.parametrize("options", [{"supports_push": False}, {"capabilities": {}}])
async def test_a_websocket_without_push_is_not_tried(options: dict[str, Any]) -> None:
    async with channel_to(says(), **options) as (channel, server):
        await failing(channel, Unsupported)
    assert not server.requests


async def test_a_server_that_is_gone_is_unavailable() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with socket_server(says()) as server:
            client = await stack.enter_async_context(client_of(server.url))
        await failing(WebSocketChannel(client, Pace()), Unavailable, "cannot be reached")


class RefreshedToken:
    """Gives another token once the first has been refused."""

    def __init__(self) -> None:
        self._tokens = ["old", "new"]

    async def get(self) -> Credential:
        return BearerCredential("alice", Secret(self._tokens[0]))

    async def refused(self, credential: Credential) -> None:
        self._tokens.pop(0)


async def test_a_token_that_has_expired_is_replaced() -> None:
    async with socket_server(says(state_change("7")), refusals=[401]) as server:
        client = JmapClient(JmapSettings(url=server.url), RefreshedToken())
        await client.open()
        assert await heard(WebSocketChannel(client, Pace())) == [ANYTHING, change("7")]
        await client.close()
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]


async def test_the_certificate_is_checked_by_the_operators_authorities(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    async with socket_server(says(state_change("7")), tls=tls) as server:
        client = JmapClient(JmapSettings(url=server.url, ca_file=str(ca_file)), FixedCredential(PASSWORD))
        await client.open()
        assert await heard(WebSocketChannel(client, Pace())) == [ANYTHING, change("7")]
        stranger = JmapClient(JmapSettings(url=server.url), FixedCredential(PASSWORD))
        with pytest.raises(Unavailable):
            await stranger.open()
        await stranger.close()
        await client.close()


async def test_the_credential_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with channel_to(says(state_change("7"))) as (channel, _server):
        await heard(channel)
    shown = [record.getMessage() for record in caplog.records if record.name.startswith("connectors.")]
    assert not any("Authorization" in text or "Basic" in text for text in shown)
    assert "websockets.client" not in {record.name for record in caplog.records}
