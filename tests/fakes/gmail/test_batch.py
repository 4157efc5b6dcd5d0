"""The batch endpoint."""

from __future__ import annotations

import email
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.fakes.gmail.client import Client, mail, refusal
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import MODIFY_SCOPE, FakeOptions


async def _batch(gmail: Client, requests: Sequence[str], path: str = "/batch/gmail/v1") -> httpx.Response:
    parts = [
        f"--mark\r\nContent-Type: application/http\r\nContent-ID: <item-{number}>\r\n\r\n{request}\r\n"
        for number, request in enumerate(requests)
    ]
    body = "".join(parts) + "--mark--\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=mark"}
    return await gmail.http.post(path, content=body.encode(), headers=headers)


def _answers(response: httpx.Response) -> list[tuple[str, int, Any]]:
    """Return Content-ID, status and JSON of each part."""
    assert response.status_code == 200, response.text
    whole = email.message_from_string(f"Content-Type: {response.headers['Content-Type']}\r\n\r\n{response.text}")
    found = []
    for part in whole.walk():
        if part.get_content_type() == "application/http":
            line, _, rest = str(part.get_payload()).replace("\r\n", "\n").partition("\n")
            body = rest.partition("\n\n")[2].strip()
            found.append((str(part["Content-ID"]), int(line.split()[1]), json.loads(body) if body else None))
    return found


def _get(message: str) -> str:
    return f"GET /gmail/v1/users/me/messages/{message}?format=minimal HTTP/1.1\r\nAccept: application/json\r\n\r\n"


@pytest.mark.parametrize("path", ["/batch", "/batch/gmail/v1"])
async def test_each_part_has_an_answer_of_its_own(fake: FakeGmail, gmail: Client, path: str) -> None:
    target = fake.deliver(mail())
    modify = (
        f"POST /gmail/v1/users/me/messages/{target}/modify\r\nContent-Type: application/json\r\n\r\n"
        '{"addLabelIds": ["STARRED"]}'
    )
    delete = f"DELETE /gmail/v1/users/me/messages/{target}\r\n\r\n"
    found = _answers(await _batch(gmail, [_get(target), _get("123"), modify, delete], path))
    assert [(name, status) for name, status, _ in found] == [
        ("<response-item-0>", 200),
        ("<response-item-1>", 404),
        ("<response-item-2>", 200),
        ("<response-item-3>", 204),
    ]
    assert found[0][2]["id"] == target
    assert found[1][2]["error"]["errors"][0]["reason"] == "notFound"
    assert "STARRED" in found[2][2]["labelIds"]
    assert fake.stats.requests == 1
    assert fake.stats.calls.total() == 4
    assert fake.violations == []


async def test_a_part_may_bring_its_own_token(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    own = fake.access_token([MODIFY_SCOPE])
    delete = f"DELETE /gmail/v1/users/me/messages/{target}\r\nAuthorization: Bearer {own}\r\n\r\n"
    assert [status for _, status, _ in _answers(await _batch(gmail, [delete, _get(target)]))] == [403, 200]


async def test_a_hundred_calls_and_no_more(fake: FakeGmail, gmail: Client) -> None:
    request = "GET /gmail/v1/users/me/profile\r\n\r\n"
    assert (await _batch(gmail, [request] * 101)).status_code == 400
    assert fake.stats.calls.total() == 0
    assert len(fake.violations) == 1


async def test_calls_beyond_those_allowed_at_once_fail_alone() -> None:
    fake = FakeGmail(FakeOptions(max_concurrent=50, units_per_minute=1000))
    client = Client(fake)
    target = fake.deliver(mail())
    async with client.http:
        statuses = [status for _, status, _ in _answers(await _batch(client, [_get(target)] * 60))]
        assert statuses == [200] * 50 + [429] * 10
        reasons = [
            body["error"]["errors"][0]["reason"]
            for _, status, body in _answers(await _batch(client, [_get(target)] * 2))
            if status == 403
        ]
        assert reasons == ["rateLimitExceeded"] * 2


@pytest.mark.parametrize(
    "request_text",
    [
        "GET https://gmail.googleapis.com/gmail/v1/users/me/profile\r\n\r\n",
        "profile\r\n\r\n",
        "POST /upload/gmail/v1/x\r\n\r\n",
    ],
)
async def test_a_part_that_cannot_be_read_breaks_the_batch(fake: FakeGmail, gmail: Client, request_text: str) -> None:
    assert refusal(await _batch(gmail, [request_text]))[0] == 400
    assert len(fake.violations) == 1


async def test_a_batch_must_be_multipart(gmail: Client) -> None:
    assert (await gmail.http.post("/batch", json={})).status_code == 400
    assert (await _batch(gmail, [])).status_code == 400
