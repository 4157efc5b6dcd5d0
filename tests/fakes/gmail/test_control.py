"""The doors for tests under /_fake."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.fakes.gmail.client import Client, mail, unraw
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import Quirks


async def _do(gmail: Client, action: str, **arguments: Any) -> Any:
    response = await gmail.http.post("/_fake/control", json={"action": action, **arguments})
    assert response.status_code == 200, response.text
    return response.json()["result"]


async def test_mail_comes_changes_and_goes(fake: FakeGmail, gmail: Client) -> None:
    text = await _do(gmail, "deliver", raw="Subject: a\r\n\r\nb\r\n", labels=["INBOX"])
    octets = await _do(
        gmail, "deliver", raw_base64=base64.b64encode(b"\xff").decode(), date="2020-01-01T00:00:00+00:00", thread=text
    )
    found = await gmail.get(f"messages/{octets}", format="raw")
    assert (unraw(found["raw"]), found["threadId"], found["internalDate"]) == (b"\xff", text, "1577836800000")
    await _do(gmail, "relabel", message_id=text, add=["STARRED"], remove=["INBOX"])
    assert await gmail.labels_of(text) == {"STARRED"}
    await _do(gmail, "trash", message_id=text)
    assert await gmail.labels_of(text) == {"STARRED", "TRASH"}
    await _do(gmail, "delete", message_id=text)
    assert (await gmail.refused("GET", f"messages/{text}"))[0] == 404


async def test_labels_and_drafts(gmail: Client) -> None:
    label = await _do(gmail, "new_label", name="A")
    await _do(gmail, "rename_label", label_id=label, name="B")
    assert (await gmail.get(f"labels/{label}"))["name"] == "B"
    await _do(gmail, "delete_label", label_id=label)
    draft = await _do(gmail, "new_draft", raw="Subject: a\r\n\r\n")
    message = await _do(gmail, "new_draft_revision", draft=draft, raw="Subject: b\r\n\r\n")
    assert (await gmail.get(f"drafts/{draft}"))["message"]["id"] == message


async def test_trouble(fake: FakeGmail, gmail: Client) -> None:
    await _do(gmail, "fail_next", method="gmail.users.getProfile", status=500)
    assert (await gmail.call("GET", "profile")).status_code == 500
    await _do(gmail, "throttle", seconds=1000, retry_after_s=5)
    assert (await gmail.call("GET", "profile")).headers["Retry-After"] == "5"
    await _do(gmail, "clear_faults")
    start = (await gmail.get("profile"))["historyId"]
    await _do(gmail, "expire_history")
    assert (await gmail.refused("GET", "history", startHistoryId=start))[0] == 404
    await _do(gmail, "set_units_per_minute", units=0)
    assert (await gmail.call("GET", "profile")).status_code == 403
    await _do(gmail, "expire_access_tokens")
    assert (await gmail.call("GET", "profile")).status_code == 401
    await _do(gmail, "revoke_token")


@pytest.mark.parametrize("name", Quirks.names())
async def test_quirks_are_switched_by_name(fake: FakeGmail, gmail: Client, name: str) -> None:
    for state in (True, False):
        await _do(gmail, name, on=state)
        assert getattr(fake.quirks, name) is state


async def test_stats_tell_what_was_called_and_what_was_wrong(fake: FakeGmail, gmail: Client) -> None:
    fake.deliver(mail())
    await gmail.get("messages")
    await gmail.call("GET", "messages", wrong="1")
    found = (await gmail.http.get("/_fake/stats")).json()
    assert found["calls"] == {"gmail.users.messages.list": 2}
    assert found["total_units"] == 10
    assert found["messages"] == 1
    assert len(found["violations"]) == 1
    await _do(gmail, "clear_stats")
    assert (await gmail.http.get("/_fake/stats")).json()["calls"] == {}


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "explode"},
        {"action": "delete", "message_id": "123"},
        {"action": "deliver"},
        {"action": "trash", "x": 1},
    ],
)
async def test_what_cannot_be_done_is_said(gmail: Client, asked: dict[str, Any]) -> None:
    response = await gmail.http.post("/_fake/control", json=asked)
    assert response.status_code == 400
    assert response.json()["error"]
