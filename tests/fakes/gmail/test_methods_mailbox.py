"""Profile and history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.gmail.client import Client, mail
from tests.fakes.gmail.fake import FakeGmail


async def _all(gmail: Client, start: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    for _ in range(50):
        page = await gmail.get("history", startHistoryId=start, **query, **({"pageToken": token} if token else {}))
        found += page.get("history", [])
        token = page.get("nextPageToken")
        if token is None:
            return found
    raise AssertionError("the history does not end")


async def _start(gmail: Client) -> str:
    start: str = (await gmail.get("profile"))["historyId"]
    return start


async def test_profile(fake: FakeGmail, gmail: Client) -> None:
    first = fake.deliver(mail())
    fake.deliver(mail(), thread=first)
    found = await gmail.get("profile")
    assert (found["emailAddress"], found["messagesTotal"], found["threadsTotal"]) == ("user@example.com", 2, 1)


async def test_each_change_leaves_its_record(fake: FakeGmail, gmail: Client) -> None:
    start = await _start(gmail)
    target = fake.deliver(mail())
    await gmail.post(f"messages/{target}/modify", {"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]})
    await gmail.post(f"messages/{target}/modify", {"addLabelIds": ["STARRED"]})
    fake.delete(target)
    records = await _all(gmail, start)
    short = {"id": target, "threadId": target}
    after = {**short, "labelIds": ["INBOX", "STARRED"]}
    assert [{key: value for key, value in record.items() if key != "id"} for record in records] == [
        {"messages": [short], "messagesAdded": [{"message": {**short, "labelIds": ["INBOX", "UNREAD"]}}]},
        {"messages": [short], "labelsAdded": [{"message": after, "labelIds": ["STARRED"]}]},
        {"messages": [short], "labelsRemoved": [{"message": after, "labelIds": ["UNREAD"]}]},
        {"messages": [short], "messagesDeleted": [{"message": after}]},
    ]
    ids = [int(record["id"]) for record in records]
    assert ids == sorted(set(ids))
    assert ids[0] > int(start)
    assert str(ids[-1]) == await _start(gmail)


async def test_pages_cover_everything_once(fake: FakeGmail, gmail: Client) -> None:
    start = await _start(gmail)
    expected = [fake.deliver(mail()) for _ in range(7)]
    records = await _all(gmail, start, maxResults=2)
    assert [record["messagesAdded"][0]["message"]["id"] for record in records] == expected


async def test_filters_by_type_and_label_leave_pages_empty(fake: FakeGmail, gmail: Client) -> None:
    start = await _start(gmail)
    target = fake.deliver(mail())
    for _ in range(3):
        fake.relabel(target, {"STARRED"})
        fake.relabel(target, (), {"STARRED"})
    fake.delete(target)
    first = await gmail.get("history", startHistoryId=start, historyTypes="messageDeleted", maxResults=3)
    assert "history" not in first
    assert "nextPageToken" in first
    records = await _all(gmail, start, historyTypes=["messageDeleted", "messageAdded"], maxResults=3)
    assert [set(record) - {"id", "messages"} for record in records] == [{"messagesAdded"}, {"messagesDeleted"}]
    assert len(await _all(gmail, start, labelId="STARRED")) == 6


@pytest.mark.parametrize("start", ["1", "99999999999"])
async def test_an_id_too_old_or_unknown_is_404(gmail: Client, start: str) -> None:
    expected = (404, "notFound", "Requested entity was not found.")
    assert await gmail.refused("GET", "history", startHistoryId=start) == expected


async def test_history_expires(fake: FakeGmail, gmail: Client) -> None:
    start = await _start(gmail)
    target = fake.deliver(mail())
    fake.expire_history()
    assert (await gmail.refused("GET", "history", startHistoryId=start))[0] == 404
    # The message's own historyId is no way out: it is too old as well.
    own = (await gmail.get(f"messages/{target}", format="minimal"))["historyId"]
    assert (await gmail.refused("GET", "history", startHistoryId=own))[0] == 404
    assert await _all(gmail, await _start(gmail)) == []


async def test_history_may_never_be_valid(fake: FakeGmail, gmail: Client) -> None:
    fake.quirks.history_is_never_valid = True
    for _ in range(2):
        assert (await gmail.refused("GET", "history", startHistoryId=await _start(gmail)))[0] == 404


async def test_start_history_id_is_needed(fake: FakeGmail, gmail: Client) -> None:
    assert (await gmail.refused("GET", "history"))[2] == "Missing/invalid parameter: startHistoryId"


@pytest.mark.parametrize("size", [1, 2, 500])
async def test_empty_pages_come_between(fake: FakeGmail, gmail: Client, size: int) -> None:
    fake.quirks.empty_history_pages = True
    start = await _start(gmail)
    expected = [fake.deliver(mail()) for _ in range(3)]
    first = await gmail.get("history", startHistoryId=start, maxResults=size)
    assert first.keys() == {"historyId", "nextPageToken"}
    records = await _all(gmail, start, maxResults=size)
    assert [record["messagesAdded"][0]["message"]["id"] for record in records] == expected


async def test_odd_records(fake: FakeGmail, gmail: Client) -> None:
    fake.quirks.bare_history_records = fake.quirks.joined_history_records = True
    fake.quirks.absent_label_ids = True
    target = fake.deliver(mail())
    start = await _start(gmail)
    fake.trash(target)
    bare, joined = await _all(gmail, start)
    assert bare.keys() == {"id", "messages"}
    assert joined["labelsAdded"] == [{"message": {"id": target, "threadId": target}, "labelIds": ["TRASH"]}]
    assert joined["labelsRemoved"][0]["labelIds"] == ["INBOX"]


async def test_imap_settings(fake: FakeGmail, gmail: Client) -> None:
    fake.expunge_behavior = "trash"
    assert (await gmail.get("settings/imap"))["expungeBehavior"] == "trash"
