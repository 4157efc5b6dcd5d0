"""Watches and the pull subscription."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.fakes.gmail.client import Client, mail, refusal
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import PUBSUB_SCOPE, FakeOptions
from tests.manual_clock import ManualClock


class Puller:
    """Pulls as the service account."""

    def __init__(self, fake: FakeGmail, gmail: Client) -> None:
        self._http = gmail.http
        self._name = fake.options.subscription_name
        self._headers = {"Authorization": f"Bearer {fake.access_token([PUBSUB_SCOPE], '')}"}

    async def call(self, verb: str, body: object) -> Any:
        response = await self._http.post(f"/v1/{self._name}:{verb}", json=body, headers=self._headers)
        assert response.is_success, response.text
        return response.json()

    async def pull(self, **more: Any) -> list[dict[str, Any]]:
        reply = await self.call("pull", {"maxMessages": 100, **more})
        found: list[dict[str, Any]] = reply.get("receivedMessages", [])
        return found

    async def now(self) -> list[dict[str, Any]]:
        return await self.pull(returnImmediately=True)


def _payloads(received: list[dict[str, Any]]) -> list[Any]:
    return [json.loads(base64.b64decode(each["message"]["data"])) for each in received]


async def _watch(fake: FakeGmail, gmail: Client, **more: Any) -> Any:
    return await gmail.post("watch", {"topicName": fake.options.topic_name, **more})


async def test_a_watch_tells_at_once_and_then_of_changes(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    puller = Puller(fake, gmail)
    assert await puller.now() == []
    started = await _watch(fake, gmail)
    assert int(started["expiration"]) == int((clock.now().timestamp() + 7 * 86400) * 1000)
    clock.advance(2)
    fake.deliver(mail())
    received = await puller.now()
    current = int((await gmail.get("profile"))["historyId"])
    assert _payloads(received) == [
        {"emailAddress": "user@example.com", "historyId": int(started["historyId"])},
        {"emailAddress": "user@example.com", "historyId": current},
    ]
    await puller.call("acknowledge", {"ackIds": [each["ackId"] for each in received]})
    assert fake.pubsub.backlog == 0
    assert fake.violations == []


async def test_a_pull_waits_for_news(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    puller = Puller(fake, gmail)
    await _watch(fake, gmail)
    received = await puller.now()
    await puller.call("acknowledge", {"ackIds": [received[0]["ackId"]]})
    waiting = asyncio.create_task(puller.pull())
    await fake.pubsub.waited_for.wait()
    assert not waiting.done()
    clock.advance(5)
    fake.deliver(mail())
    assert len(await waiting) == 1


async def test_a_pull_ends_empty_handed() -> None:
    fake = FakeGmail(FakeOptions(pull_wait_s=0.01))
    client = Client(fake)
    async with client.http:
        assert await Puller(fake, client).pull() == []


async def test_what_is_not_acknowledged_comes_again(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    puller = Puller(fake, gmail)
    await _watch(fake, gmail)
    first = await puller.now()
    assert await puller.now() == []
    clock.advance(10)
    second = await puller.now()
    assert second[0]["message"] == first[0]["message"]
    assert second[0]["ackId"] != first[0]["ackId"]
    await puller.call("acknowledge", {"ackIds": [first[0]["ackId"]]})
    assert fake.pubsub.backlog == 1
    await puller.call("modifyAckDeadline", {"ackIds": [second[0]["ackId"]], "ackDeadlineSeconds": 0})
    assert len(await puller.now()) == 1


async def test_more_than_one_a_second_are_dropped(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    await _watch(fake, gmail)
    clock.advance(1)
    for _ in range(3):
        fake.deliver(mail())
    assert fake.pubsub.dropped == 2
    assert len(await Puller(fake, gmail).now()) == 2


async def test_a_watch_may_be_of_some_labels(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    await _watch(fake, gmail, labelIds=["INBOX"], labelFilterBehavior="include")
    clock.advance(2)
    fake.deliver(mail(), {"SPAM"})
    assert fake.pubsub.backlog == 1
    await _watch(fake, gmail, labelIds=["SPAM"], labelFilterBehavior="exclude")
    clock.advance(2)
    fake.deliver(mail(), {"SPAM"})
    assert fake.pubsub.backlog == 2
    fake.deliver(mail(), {"INBOX"})
    assert fake.pubsub.backlog == 3


async def test_a_watch_ends_by_stop_and_by_itself(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    for end in ("stop", "time"):
        await _watch(fake, gmail)
        backlog = fake.pubsub.backlog
        if end == "stop":
            assert await gmail.post("stop") is None
            clock.advance(2)
        else:
            clock.advance(7 * 86400 + 1)
        fake.deliver(mail())
        assert fake.pubsub.backlog == backlog


@pytest.mark.parametrize(
    ("topic", "status"),
    [("projects/other/topics/gmail", 400), ("projects/fake-project/topics/none", 404), ("gmail", 400)],
)
async def test_a_topic_must_be_of_the_project_and_be_there(
    fake: FakeGmail, gmail: Client, topic: str, status: int
) -> None:
    assert (await gmail.refused("POST", "watch", {"topicName": topic}))[0] == status


async def test_gmail_must_be_allowed_to_publish(fake: FakeGmail, gmail: Client) -> None:
    fake.pubsub.can_publish = False
    assert (await gmail.refused("POST", "watch", {"topicName": fake.options.topic_name}))[:2] == (403, "forbidden")


async def test_a_mail_token_cannot_pull(fake: FakeGmail, gmail: Client) -> None:
    response = await gmail.http.post(f"/v1/{fake.options.subscription_name}:pull", json={"maxMessages": 1})
    assert refusal(response)[:2] == (403, "insufficientPermissions")


async def test_pull_wants_a_number_and_a_known_subscription(fake: FakeGmail, gmail: Client) -> None:
    headers = {"Authorization": f"Bearer {fake.access_token([PUBSUB_SCOPE], '')}"}
    for name, status in ((fake.options.subscription_name, 400), ("projects/x/subscriptions/y", 404)):
        body = {"maxMessages": 0 if status == 400 else 5}
        response = await gmail.http.post(f"/v1/{name}:pull", json=body, headers=headers)
        assert response.status_code == status
    response = await gmail.http.get(f"/v1/{fake.options.subscription_name}", headers=headers)
    assert response.json()["topic"] == fake.options.topic_name
