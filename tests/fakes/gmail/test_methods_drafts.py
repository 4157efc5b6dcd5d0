"""users.drafts."""

from __future__ import annotations

from tests.fakes.gmail.client import Client, mail, raw64, unraw
from tests.fakes.gmail.fake import FakeGmail


async def test_the_draft_stays_and_its_message_changes(fake: FakeGmail, gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail("one"))}})
    assert made["message"]["labelIds"] == ["DRAFT"]
    start = (await gmail.get("profile"))["historyId"]
    response = await gmail.call("PUT", f"drafts/{made['id']}", {"message": {"raw": raw64(mail("two"))}})
    changed = response.json()
    assert changed["id"] == made["id"]
    assert changed["message"]["id"] != made["message"]["id"]
    assert changed["message"]["threadId"] == made["message"]["threadId"]
    assert (await gmail.refused("GET", f"messages/{made['message']['id']}"))[0] == 404
    records = (await gmail.get("history", startHistoryId=start))["history"]
    assert [set(record) - {"id", "messages"} for record in records] == [{"messagesAdded"}, {"messagesDeleted"}]


async def test_list_gives_pairs_of_ids(fake: FakeGmail, gmail: Client) -> None:
    assert await gmail.get("drafts") == {"resultSizeEstimate": 0}
    drafts = [fake.new_draft(mail(f"draft {number}")) for number in range(3)]
    newer = fake.new_draft_revision(drafts[0], mail("changed"))
    page = await gmail.get("drafts", maxResults=2)
    rest = await gmail.get("drafts", maxResults=2, pageToken=page["nextPageToken"])
    found = {each["id"]: each["message"]["id"] for each in page["drafts"] + rest["drafts"]}
    assert set(found) == set(drafts)
    assert found[drafts[0]] == newer


async def test_get_in_raw(gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail(message_id="d@x"))}})
    found = await gmail.get(f"drafts/{made['id']}", format="raw")
    assert unraw(found["message"]["raw"]).endswith(mail(message_id="d@x"))


async def test_a_draft_takes_no_other_label(fake: FakeGmail, gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail())}})
    path = f"messages/{made['message']['id']}/modify"
    assert (await gmail.refused("POST", path, {"addLabelIds": ["STARRED"]}))[:2] == (400, "invalidArgument")
    assert set((await gmail.post(path, {"addLabelIds": ["TRASH"]}))["labelIds"]) == {"DRAFT", "TRASH"}
    fake.quirks.drafts_take_labels = True
    assert "STARRED" in (await gmail.post(path, {"addLabelIds": ["STARRED"]}))["labelIds"]


async def test_deleting_is_for_good(gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail())}})
    assert (await gmail.call("DELETE", f"drafts/{made['id']}")).status_code == 204
    assert (await gmail.refused("GET", f"drafts/{made['id']}"))[0] == 404
    assert await gmail.ids(includeSpamTrash="true") == []


async def test_a_message_deleted_takes_its_draft_along(fake: FakeGmail, gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail())}})
    fake.delete(made["message"]["id"])
    assert (await gmail.refused("GET", f"drafts/{made['id']}"))[0] == 404


async def test_sending_makes_a_new_message(gmail: Client) -> None:
    made = await gmail.post("drafts", {"message": {"raw": raw64(mail())}})
    sent = await gmail.post("drafts/send", {"id": made["id"]})
    assert sent["id"] != made["message"]["id"]
    assert set(sent["labelIds"]) == {"SENT", "INBOX", "UNREAD"}
    assert await gmail.get("drafts") == {"resultSizeEstimate": 0}
