"""messages.list: labels, Spam and Trash, pages."""

from __future__ import annotations

from tests.fakes.gmail.client import Client, mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.manual_clock import ManualClock


async def test_newest_comes_first_and_an_empty_result_has_no_messages(
    fake: FakeGmail, gmail: Client, clock: ManualClock
) -> None:
    assert await gmail.get("messages") == {"resultSizeEstimate": 0}
    ids = []
    for _ in range(3):
        ids.append(fake.deliver(mail()))
        clock.advance(1)
    assert await gmail.ids() == ids[::-1]


async def test_labels_are_joined_by_and(fake: FakeGmail, gmail: Client) -> None:
    label = fake.new_label("A")
    fake.deliver(mail(), {"INBOX"})
    fake.deliver(mail(), {label})
    both = fake.deliver(mail(), {"INBOX", label})
    assert await gmail.ids(labelIds=["INBOX", label]) == [both]
    assert (await gmail.refused("GET", "messages", labelIds="Label_9"))[0] == 400


async def test_spam_and_trash_are_left_out_unless_asked_for(fake: FakeGmail, gmail: Client) -> None:
    label = fake.new_label("A")
    plain = fake.deliver(mail(), {label})
    trashed = fake.deliver(mail(), {label, "TRASH"})
    assert await gmail.ids(labelIds=label) == [plain]
    assert set(await gmail.ids(labelIds=label, includeSpamTrash="true")) == {plain, trashed}
    assert await gmail.ids(labelIds="TRASH") == [trashed]
    assert await gmail.ids(q="in:trash") == [trashed]
    fake.quirks.list_hides_unless_asked = True
    assert await gmail.ids(labelIds="TRASH") == []
    assert await gmail.ids(labelIds="TRASH", includeSpamTrash="true") == [trashed]


async def test_pages_go_on_where_they_ended_whatever_is_deleted() -> None:
    fake = FakeGmail(FakeOptions(messages=1200))
    client = Client(fake)
    async with client.http:
        everything = list(fake.mailbox.messages)
        first = await client.get("messages", maxResults=5000, includeSpamTrash="true")
        assert len(first["messages"]) == 500
        for each in first["messages"]:
            fake.delete(each["id"])
        assert first["resultSizeEstimate"] == 201
        seen = [each["id"] for each in first["messages"]]
        token = first["nextPageToken"]
        while token is not None:
            page = await client.get("messages", maxResults=500, includeSpamTrash="true", pageToken=token)
            seen += [each["id"] for each in page["messages"]]
            token = page.get("nextPageToken")
        assert seen == [f"{number:x}" for number in reversed(everything)]


async def test_a_page_token_fits_only_its_own_listing(fake: FakeGmail, gmail: Client) -> None:
    for _ in range(3):
        fake.deliver(mail())
    token = (await gmail.get("messages", maxResults=1, labelIds="INBOX"))["nextPageToken"]
    assert (await gmail.get("messages", maxResults=2, labelIds="INBOX", pageToken=token)).keys() >= {"messages"}
    for query in ({"labelIds": "UNREAD", "pageToken": token}, {"labelIds": "INBOX", "pageToken": "%%%"}):
        assert (await gmail.refused("GET", "messages", **query))[2] == "Invalid pageToken"


async def test_relabelled_messages_move_between_listings(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    fake.relabel(target, {"STARRED"}, {"INBOX"})
    assert await gmail.ids(labelIds="INBOX") == []
    assert await gmail.ids(labelIds="STARRED") == [target]
    fake.delete(target)
    assert await gmail.ids(labelIds="STARRED") == []
