"""Folders: the tree, names, hidden and search folders, and their delta."""

from __future__ import annotations

import pytest

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph


async def _names(graph: Client, path: str = "/mailFolders", **options: object) -> list[str]:
    found = await graph.get(path, _top="100", **options)
    return [each["displayName"] for each in found["value"]]


async def test_only_children_of_the_root_are_listed_and_ten_of_them(fake: FakeGraph, graph: Client) -> None:
    for number in range(8):
        fake.create_folder(f"F{number}/below")
    page = await graph.get("/mailFolders")
    assert len(page["value"]) == 10
    rest = await graph.get(page["@odata.nextLink"])
    names = [each["displayName"] for each in page["value"] + rest["value"]]
    assert {"Inbox", "F0", "F7"} <= set(names)
    assert "below" not in names
    assert await _names(graph, f"/mailFolders/{fake.folder_id('F0').replace('=', '%3D')}/childFolders") == ["below"]


async def test_hidden_folders_are_shown_where_asked_for(fake: FakeGraph, graph: Client) -> None:
    fake.create_folder("Secret", is_hidden=True)
    assert "Secret" not in await _names(graph)
    assert {"Secret", "Sync Issues"} <= set(await _names(graph, includeHiddenFolders="true"))


async def test_well_known_names_are_read_and_an_absent_one_is_not_found(fake: FakeGraph, graph: Client) -> None:
    found = await graph.get("/mailFolders/SentItems", _select="displayName")
    assert found["displayName"] == "Sent Items"
    assert await graph.refused("GET", "/mailFolders/clutter") == (404, "ErrorItemNotFound")
    fake.assert_no_violations()
    assert await graph.refused("GET", "/mailFolders/inboxx") == (400, "ErrorInvalidIdMalformed")


async def test_names_are_taken_whatever_their_case(fake: FakeGraph, graph: Client) -> None:
    made = await graph.post("/mailFolders", {"displayName": "Work/Home"})
    assert made["displayName"] == "Work/Home"
    assert await graph.refused("POST", "/mailFolders", {"displayName": "work/home"}) == (409, "ErrorFolderExists")
    renamed = await graph.patch(f"/mailFolders/{made['id']}", {"displayName": "WORK/HOME"})
    assert (renamed["id"], renamed["displayName"]) == (made["id"], "WORK/HOME")
    fake.assert_no_violations()


async def test_a_folder_is_moved_copied_and_deleted(fake: FakeGraph, graph: Client) -> None:
    made = (await graph.post("/mailFolders", {"displayName": "A"}))["id"]
    below = (await graph.post(f"/mailFolders/{made}/childFolders", {"displayName": "B"}))["id"]
    message_id = fake.deliver(mail(), below)
    refused = await graph.refused("POST", f"/mailFolders/{made}/move", {"destinationId": below})
    assert refused == (400, "ErrorMoveCopyFailed")
    copied = (await graph.post(f"/mailFolders/{made}/copy", {"destinationId": "archive"}))["id"]
    assert copied != made
    assert len(fake.ids_in(["Archive", "A", "B"])) == 1
    assert (await graph.post(f"/mailFolders/{below}/move", {"destinationId": "msgfolderroot"}))["id"] == below
    assert (await graph.call("DELETE", f"/mailFolders/{below}")).status_code == 204
    assert (await graph.get(f"/mailFolders/{below}"))["parentFolderId"] == fake.folder_id("deleteditems")
    assert (await graph.call("DELETE", f"/mailFolders/{below}")).status_code == 204
    assert await graph.refused("GET", f"/mailFolders/{below}") == (404, "ErrorItemNotFound")
    assert await graph.refused("GET", f"/messages/{message_id}") == (404, "ErrorItemNotFound")


async def test_distinguished_folders_stay(graph: Client) -> None:
    assert (await graph.refused("DELETE", "/mailFolders/inbox"))[0] == 403
    assert (await graph.refused("PATCH", "/mailFolders/inbox", {"displayName": "x"}))[0] == 403


async def test_counts_hold_what_is_no_mail(fake: FakeGraph, graph: Client) -> None:
    fake.deliver(mail())
    fake.add_strangers("inbox", 3)
    found = await graph.get("/mailFolders/inbox")
    assert (found["totalItemCount"], found["unreadItemCount"]) == (4, 1)
    assert len(await graph.ids()) == 1


async def test_a_search_folder_shows_what_is_elsewhere(fake: FakeGraph, graph: Client) -> None:
    folder = fake.create_search_folder("Unread")
    unread = fake.deliver(mail(), "archive")
    fake.deliver(mail(), is_read=True)
    found = await graph.get(f"/mailFolders/{folder}")
    assert found["@odata.type"] == "#microsoft.graph.mailSearchFolder"
    assert await graph.ids(folder) == [unread]
    refused = await graph.refused("POST", f"/messages/{unread}/move", {"destinationId": folder})
    assert refused == (400, "ErrorMoveCopyFailed")


async def test_the_class_of_a_folder_is_an_extended_property(fake: FakeGraph, graph: Client) -> None:
    fake.create_folder("Notes", folder_class="IPF.StickyNote")
    expand = "singleValueExtendedProperties($filter=id eq 'String 0x3613')"
    found = await graph.get("/mailFolders", _top="100", _expand=expand, _select="displayName")
    classes = {each["displayName"]: each["singleValueExtendedProperties"][0]["value"] for each in found["value"]}
    assert (classes["Notes"], classes["Inbox"]) == ("IPF.StickyNote", "IPF.Note")


async def test_delta_tells_folders_made_changed_and_removed(fake: FakeGraph, graph: Client) -> None:
    gone = fake.create_folder("Gone")
    page = await graph.get("/mailFolders/delta", prefer="odata.maxpagesize=100")
    assert gone in {each["id"] for each in page["value"]}
    made = fake.create_folder("Made")
    fake.delete_folder("Gone")
    page = await graph.get(page["@odata.deltaLink"])
    told = {each["id"]: each.get("@removed") for each in page["value"]}
    assert told[made] is None
    assert told[gone] == {"reason": "deleted"}


@pytest.mark.parametrize("body", [{}, {"displayName": ""}, {"displayName": "x", "wellKnownName": "y"}, {"name": "x"}])
async def test_wrong_folders_are_refused_and_noted(fake: FakeGraph, graph: Client, body: object) -> None:
    assert (await graph.refused("POST", "/mailFolders", body))[0] == 400
    assert len(fake.violations) == 1
