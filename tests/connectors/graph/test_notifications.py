"""What comes to the door from the Internet: handshakes, notifications, and everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from connectors.graph import notifications
from connectors.graph.notifications import MAX_OCTETS, MAX_TOKEN, Door, Taker
from connectors.graph.structs import Notification

URL = "http://door.test/graph"


@pytest.fixture
def told() -> list[Notification]:
    return []


@pytest.fixture
def door(told: list[Notification]) -> Door:
    door = Door()
    door.admit("sub-1", Taker("secret", told.append))
    return door


@pytest.fixture
async def http(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door.application())) as http:
        yield http


def notification(**fields: Any) -> dict[str, Any]:
    return {
        "subscriptionId": "sub-1",
        "subscriptionExpirationDateTime": "2026-01-04T00:00:00Z",
        "clientState": "secret",
        "changeType": "created",
        "resource": "Users/1/Messages/2",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": "2"},
        **fields,
    }


async def test_the_token_of_a_handshake_is_given_back_as_plain_text(http: httpx.AsyncClient) -> None:
    token = "Validation: Testing <script> for subscription 1+ö"
    reply = await http.post(URL, params={"validationToken": token})
    assert (reply.status_code, reply.text) == (200, token)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_token_longer_than_any_is_not_given_back(http: httpx.AsyncClient) -> None:
    assert (await http.post(URL, params={"validationToken": "x" * (MAX_TOKEN + 1)})).status_code == 400


@pytest.mark.parametrize("path", ["/", "/graph", "/some/where/else"])
async def test_a_notification_is_taken_under_any_path(
    http: httpx.AsyncClient, told: list[Notification], path: str
) -> None:
    reply = await http.post("http://door.test" + path, json={"value": [notification()]})
    assert (reply.status_code, reply.content) == (202, b"")
    assert [each.subscription_id for each in told] == ["sub-1"]


async def test_each_of_many_goes_to_its_own_taker(
    http: httpx.AsyncClient, door: Door, told: list[Notification]
) -> None:
    others: list[Notification] = []
    door.admit("sub-2", Taker("other secret", others.append))
    value = [
        notification(),
        notification(subscriptionId="sub-2", clientState="other secret", lifecycleEvent="missed"),
        notification(),
    ]
    assert (await http.post(URL, json={"value": value})).status_code == 202
    assert len(told) == 2
    assert [each.lifecycle_event for each in others] == ["missed"]
    assert door.counts == {"taken": 3}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"clientState": "secreT"}, "forged"),
        ({"clientState": "sécret"}, "forged"),
        ({"clientState": ""}, "forged"),
        ({"clientState": None}, "forged"),
        ({"subscriptionId": "sub-3"}, "unknown"),
        ({"subscriptionId": ""}, "unknown"),
    ],
)
async def test_what_is_not_of_a_subscription_with_its_secret_is_counted_and_ignored(
    http: httpx.AsyncClient, door: Door, told: list[Notification], fields: dict[str, Any], kind: str
) -> None:
    assert (await http.post(URL, json={"value": [notification(**fields)]})).status_code == 202
    assert told == []
    assert door.counts == {kind: 1}


async def test_a_notification_without_a_secret_is_ignored(
    http: httpx.AsyncClient, door: Door, told: list[Notification]
) -> None:
    body = notification()
    del body["clientState"]
    await http.post(URL, json={"value": [body]})
    assert (told, door.counts) == ([], {"forged": 1})


async def test_nothing_is_passed_to_a_taker_that_was_dismissed(
    http: httpx.AsyncClient, door: Door, told: list[Notification]
) -> None:
    door.dismiss("sub-1")
    door.dismiss("sub-1")
    assert not door.knows("sub-1")
    await http.post(URL, json={"value": [notification()]})
    assert (told, door.counts) == ([], {"unknown": 1})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"value": null}',
        b'{"value": [1]}',
        b'{"value": [{"clientState": "secret"}]}',
        b'{"value": [{"subscriptionId": 1}]}',
        b'{"value": [{"subscriptionId": "\xff"}]}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_notification_is_refused(
    http: httpx.AsyncClient, door: Door, told: list[Notification], body: bytes
) -> None:
    assert (await http.post(URL, content=body)).status_code == 400
    assert (told, door.counts) == ([], {"garbage": 1})


async def test_more_than_fits_is_not_read(http: httpx.AsyncClient, door: Door) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * MAX_OCTETS:
            read += 65_536
            yield b" " * 65_536

    assert (await http.post(URL, content=endless())).status_code == 413
    assert read <= MAX_OCTETS + 2 * 65_536
    assert door.counts == {"garbage": 1}


async def test_what_comes_too_slowly_is_given_up(
    http: httpx.AsyncClient, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "BODY_S", 0.01)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert (await http.post(URL, content=stuck())).status_code == 408
    assert door.counts == {"garbage": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_posts_are_taken(http: httpx.AsyncClient, door: Door, method: str) -> None:
    reply = await http.request(method, URL, params={"validationToken": "x"})
    assert reply.status_code == 405
    assert not door.counts


async def test_strangers_cannot_fill_the_log(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "connectors.graph.notifications")
    for _ in range(25):
        await http.post(URL, json={"value": [notification(subscriptionId="sub-3")]})
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["1", "10"]
