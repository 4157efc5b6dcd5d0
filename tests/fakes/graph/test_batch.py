"""$batch: shuffled answers, dependencies, limits of each request alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.fakes.graph.client import IMMUTABLE, Client, mail
from tests.fakes.graph.fake import FakeGraph


def _get(number: int, path: str, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "method": "GET", "url": f"/me{path}", "headers": {"Prefer": IMMUTABLE}, **more}


def _patch(number: int, message_id: str, body: object) -> dict[str, Any]:
    headers = {"Prefer": IMMUTABLE, "Content-Type": "application/json"}
    return {"id": str(number), "method": "PATCH", "url": f"/me/messages/{message_id}", "headers": headers, "body": body}


async def test_each_request_gets_its_own_answer_in_any_order(fake: FakeGraph, graph: Client) -> None:
    ids = [fake.deliver(mail(str(number))) for number in range(20)]
    items = [_get(number, f"/messages/{each}?$select=subject") for number, each in enumerate(ids)]
    response = await graph.http.post("/$batch", json={"requests": items})
    answers = response.json()["responses"]
    assert [each["id"] for each in answers] != [str(number) for number in range(20)]
    assert {each["id"]: each["body"]["subject"] for each in answers} == {
        str(number): str(number) for number in range(20)
    }
    assert (fake.stats.requests["$batch"], fake.stats.batch_items, fake.stats.most_at_once) == (1, 20, 4)
    assert fake.stats.without_immutable_ids == 0
    fake.assert_no_violations()


async def test_a_preference_belongs_to_each_request(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    answers = await graph.batch([{"id": "1", "method": "GET", "url": f"/me/messages/{message_id}"}])
    assert answers["1"]["body"]["id"] != message_id


async def test_what_is_no_json_comes_in_base64(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail("x"))
    answers = await graph.batch([_get(1, f"/messages/{message_id}/$value")])
    assert b"Subject: x\r\n" in base64.b64decode(answers["1"]["body"])
    assert answers["1"]["headers"]["Content-Type"] == "text/plain"


async def test_one_request_is_throttled_alone(fake: FakeGraph, graph: Client) -> None:
    ids = [fake.deliver(mail(str(number))) for number in range(3)]
    fake.fail_next("messages.patch", status=429, retry_after_s=7, skip=1)
    answers = await graph.batch([_patch(number, each, {"isRead": True}) for number, each in enumerate(ids)])
    assert sorted(each["status"] for each in answers.values()) == [200, 200, 429]
    (refused,) = (each for each in answers.values() if each["status"] == 429)
    assert refused["headers"]["Retry-After"] == "7"
    assert sum(fake.message(each).is_read for each in ids) == 2


async def test_a_failed_dependency_is_not_run(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    first = _get(1, f"/messages/{message_id[:-1]}")
    second = {**_patch(2, message_id, {"isRead": True}), "dependsOn": ["1"]}
    answers = await graph.batch([first, second])
    assert (answers["1"]["status"], answers["2"]["status"]) == (400, 424)
    assert not fake.message(message_id).is_read
    assert fake.stats.most_at_once == 1


async def test_a_chain_runs_in_its_order(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    items = [
        _patch(1, message_id, {"isRead": True}),
        {**_get(2, f"/messages/{message_id}?$select=isRead"), "dependsOn": ["1"]},
        {**_patch(3, message_id, {"isRead": False}), "dependsOn": ["2"]},
    ]
    answers = await graph.batch(items)
    assert answers["2"]["body"]["isRead"] is True
    assert answers["3"]["body"]["isRead"] is False


async def test_a_fifth_at_a_time_is_refused(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    _, release = fake.dispatcher.reserve(fake.options.address, 2)
    answers = await graph.batch([_get(number, f"/messages/{message_id}") for number in range(6)])
    refused = [each for each in answers.values() if each["status"] == 429]
    assert [each["body"]["error"]["code"] for each in refused] == ["ApplicationThrottled"] * 2
    assert all("Retry-After" in each["headers"] for each in refused)
    release()
    assert fake.stats.most_at_once == 6
    answers = await graph.batch([_get(number, f"/messages/{message_id}") for number in range(6)])
    assert {each["status"] for each in answers.values()} == {200}


@pytest.mark.parametrize(
    "items",
    [
        [],
        [_get(number, "") for number in range(21)],
        [_get(1, ""), _get(1, "")],
        [{"method": "GET", "url": "/me"}],
        [{"id": 1, "method": "GET", "url": "/me"}],
        [{"id": "1", "method": "LIST", "url": "/me"}],
        [{"id": "1", "method": "GET", "url": "/v1.0/me"}],
        [{"id": "1", "method": "GET", "url": "http://graph.test/v1.0/me"}],
        [{"id": "1", "method": "PATCH", "url": "/me/messages/x", "body": {}}],
        [{"id": "1", "method": "GET", "url": "/me", "extra": 1}],
        [_get(1, "", dependsOn=["2"]), _get(2, "")],
        [_get(1, ""), _get(2, "", dependsOn=["1"]), _get(3, ""), _get(4, "", dependsOn=["3"])],
    ],
)
async def test_a_broken_batch_is_refused_whole(fake: FakeGraph, graph: Client, items: object) -> None:
    response = await graph.http.post("/$batch", json={"requests": items})
    assert response.status_code == 400
    assert len(fake.violations) == 1
    assert fake.stats.batch_items == 0


async def test_a_batch_can_fail_as_one(fake: FakeGraph, graph: Client) -> None:
    fake.fail_next("$batch", status=503)
    response = await graph.http.post("/$batch", json={"requests": [_get(1, "")]})
    assert response.status_code == 503
    assert "retry-after" not in response.headers
