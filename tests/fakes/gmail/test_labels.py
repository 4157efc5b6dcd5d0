"""users.labels against Gmail's rules for names."""

from __future__ import annotations

import pytest

from tests.fakes.gmail.client import Client, mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.labels import SYSTEM_IDS
from tests.fakes.gmail.options import FakeOptions


async def test_list_has_system_labels_and_no_counts(fake: FakeGmail, gmail: Client) -> None:
    made = await gmail.post("labels", {"name": "Work/Open"})
    listed = {each["id"]: each for each in (await gmail.get("labels"))["labels"]}
    assert set(listed) == {*SYSTEM_IDS, made["id"]}
    assert listed["INBOX"]["type"] == "system"
    assert listed[made["id"]] == {
        "id": made["id"],
        "name": "Work/Open",
        "type": "user",
        "labelListVisibility": "labelShow",
        "messageListVisibility": "show",
    }


async def test_get_counts_messages_and_threads(fake: FakeGmail, gmail: Client) -> None:
    label = fake.new_label("Work")
    first = fake.deliver(mail(), {label, "UNREAD"})
    fake.deliver(mail(), {label}, thread=fake.message(first).id)
    fake.deliver(mail(), {"UNREAD"})
    found = await gmail.get(f"labels/{label}")
    counts = (found["messagesTotal"], found["messagesUnread"], found["threadsTotal"], found["threadsUnread"])
    assert counts == (2, 1, 1, 1)


@pytest.mark.parametrize(
    "name",
    ["Trash", "drafts", "MUTED", "todo", "Enviado", "[Gmail]/x", "", "  ", "/a", "a/", "a//b", "a\rb", "x" * 226],
)
async def test_create_refuses_the_name(gmail: Client, name: str) -> None:
    assert await gmail.refused("POST", "labels", {"name": name}) == (400, "invalidArgument", "Invalid label name")


async def test_reserved_names_are_free_below_a_label(gmail: Client) -> None:
    assert (await gmail.post("labels", {"name": "Work/Drafts"}))["name"] == "Work/Drafts"


@pytest.mark.parametrize("name", ["work/open", "Work-Open", "WORK OPEN", "Work/Open"])
async def test_names_collide_but_for_case_and_separator(fake: FakeGmail, gmail: Client, name: str) -> None:
    fake.new_label("Work/Open")
    expected = (409, "aborted", "Label name exists or conflicts")
    assert await gmail.refused("POST", "labels", {"name": name}) == expected


async def test_patch_renames_and_leaves_children(fake: FakeGmail, gmail: Client) -> None:
    parent, child = fake.new_label("A"), fake.new_label("A/B")
    response = await gmail.call("PATCH", f"labels/{parent}", {"name": "a"})
    assert response.json()["name"] == "a"
    response = await gmail.call("PATCH", f"labels/{parent}", {"name": "C", "labelListVisibility": "labelHide"})
    assert response.json()["labelListVisibility"] == "labelHide"
    assert (await gmail.get(f"labels/{child}"))["name"] == "A/B"
    fake.quirks.rename_moves_children = True
    await gmail.call("PATCH", f"labels/{parent}", {"name": "A"})
    fake.rename_label(parent, "D")
    assert (await gmail.get(f"labels/{child}"))["name"] == "D/B"


async def test_patch_refuses_a_name_that_is_taken(fake: FakeGmail, gmail: Client) -> None:
    fake.new_label("A")
    other = fake.new_label("B")
    assert (await gmail.refused("PATCH", f"labels/{other}", {"name": "a"}))[0] == 409
    assert (await gmail.get(f"labels/{other}"))["name"] == "B"


async def test_update_needs_a_name(fake: FakeGmail, gmail: Client) -> None:
    label = fake.new_label("A")
    assert (await gmail.refused("PUT", f"labels/{label}", {"labelListVisibility": "labelHide"}))[0] == 400


@pytest.mark.parametrize("verb", ["PATCH", "DELETE"])
async def test_system_labels_cannot_be_changed(gmail: Client, verb: str) -> None:
    body = {"name": "x"} if verb == "PATCH" else None
    assert (await gmail.refused(verb, "labels/INBOX", body))[:2] == (400, "invalidArgument")
    assert (await gmail.refused(verb, "labels/Label_77", body))[0] == 404


@pytest.mark.parametrize("is_told", [False, True])
async def test_deleting_a_label_keeps_its_messages(fake: FakeGmail, gmail: Client, is_told: bool) -> None:
    fake.quirks.label_deletion_in_history = is_told
    label = fake.new_label("A")
    target = fake.deliver(mail(), {label, "INBOX"})
    start = (await gmail.get("profile"))["historyId"]
    assert (await gmail.call("DELETE", f"labels/{label}")).status_code == 204
    assert await gmail.labels_of(target) == {"INBOX"}
    found = await gmail.get("history", startHistoryId=start)
    assert ("history" in found) == is_told
    assert (await gmail.refused("GET", "history", startHistoryId=start, labelId=label))[0] == 404


async def test_there_is_a_limit_of_user_labels() -> None:
    fake = FakeGmail(FakeOptions(label_limit=2))
    client = Client(fake)
    async with client.http:
        for name in ("a", "b"):
            await client.post("labels", {"name": name})
        assert (await client.refused("POST", "labels", {"name": "c"}))[0] == 400
