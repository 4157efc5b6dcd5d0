"""Delta: rounds, what they tell and what they keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph


def _removed(items: list[Any]) -> set[str]:
    return {each["id"] for each in items if "@removed" in each}


def _present(items: list[Any]) -> set[str]:
    return {each["id"] for each in items if "@removed" not in each}


async def test_the_first_round_tells_all_in_pages_and_without_order(fake: FakeGraph, graph: Client) -> None:
    ids = [fake.deliver(mail(str(number))) for number in range(25)]
    page = await graph.get("/mailFolders/inbox/messages/delta", _select="subject")
    assert len(page["value"]) == 10
    items, _ = await graph.delta("inbox", _select="subject")
    told = [each["id"] for each in items]
    assert sorted(told) == sorted(ids)
    assert told not in (ids, ids[::-1])
    assert items[0].keys() == {"@odata.type", "@odata.etag", "id", "subject"}
    page = await graph.get("/mailFolders/inbox/messages/delta", prefer="odata.maxpagesize=20")
    assert len(page["value"]) == 20
    fake.assert_no_violations()


async def test_later_rounds_tell_what_changed(fake: FakeGraph, graph: Client) -> None:
    gone, marked, moved = (fake.deliver(mail(str(number))) for number in range(3))
    _, link = await graph.delta("inbox", _select="subject,categories")
    assert await graph.delta(link) == ([], (await graph.delta(link))[1])
    fake.delete(gone)
    fake.mark(marked, categories=["x"])
    fake.move(moved, "archive")
    new = fake.deliver(mail("new"))
    items, link = await graph.delta(link)
    assert _removed(items) == {gone, moved}
    assert _present(items) == {marked, new}
    assert {each["@removed"]["reason"] for each in items if "@removed" in each} <= {"deleted", "changed"}
    items, _ = await graph.delta(link)
    assert items == []


async def test_a_read_toggle_shows_only_where_it_is_selected_and_alone(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    _, without = await graph.delta("inbox", _select="subject")
    _, with_it = await graph.delta("inbox", _select="subject,isRead,flag")
    fake.mark(message_id, is_read=True)
    assert (await graph.delta(without))[0] == []
    (item,) = (await graph.delta(with_it))[0]
    assert item.keys() == {"@odata.type", "@odata.etag", "id", "isRead", "parentFolderId"}
    fake.mark(message_id, flag="flagged")
    assert _present((await graph.delta(without))[0]) == {message_id}


async def test_partial_items_carry_only_what_changed(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    _, link = await graph.delta("inbox", _select="subject,isRead,flag,categories")
    fake.quirks.delta_partial = True
    fake.mark(message_id, flag="flagged")
    (item,) = (await graph.delta(link))[0]
    assert item.keys() == {"@odata.type", "@odata.etag", "id", "flag", "parentFolderId"}


async def test_with_immutable_ids_what_came_back_is_told_as_deleted_and_never_again(
    fake: FakeGraph, graph: Client
) -> None:
    message_id = fake.deliver(mail())
    _, link = await graph.delta("inbox", _select="isRead")
    _, archive = await graph.delta("archive", _select="isRead")
    fake.move_there_and_back(message_id, "archive")
    items, link = await graph.delta(link)
    assert (_removed(items), _present(items)) == ({message_id}, set())
    assert (await graph.delta(link))[0] == []
    assert _removed((await graph.delta(archive))[0]) == {message_id}
    assert fake.ids_in("inbox") == [message_id]


async def test_with_classic_ids_what_came_back_is_another_message(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    items, link = await graph.delta("inbox", _select="isRead", prefer="")
    (old,) = _present(items)
    fake.move_there_and_back(message_id, "archive")
    items, _ = await graph.delta(link, prefer="")
    assert _removed(items) == {old}
    assert len(_present(items)) == 1
    assert _present(items) != {old}


async def test_a_move_may_be_told_at_its_beginning_alone(fake: FakeGraph, graph: Client) -> None:
    fake.quirks.delta_loses_arrivals = True
    message_id = fake.deliver(mail())
    _, inbox = await graph.delta("inbox", _select="isRead")
    _, archive = await graph.delta("archive", _select="isRead")
    fake.move(message_id, "archive")
    assert _removed((await graph.delta(inbox))[0]) == {message_id}
    assert (await graph.delta(archive))[0] == []
    fake.deliver(mail(), "archive")
    assert len((await graph.delta(archive))[0]) == 1


async def test_items_may_be_repeated_replayed_late_and_between_empty_pages(fake: FakeGraph, graph: Client) -> None:
    fake.quirks.delta_repeats = True
    fake.quirks.delta_empty_pages = True
    ids = {fake.deliver(mail(str(number))) for number in range(5)}
    assert (await graph.get("/mailFolders/inbox/messages/delta"))["value"] == []
    items, link = await graph.delta("inbox", _select="isRead,subject")
    assert _present(items) == ids
    assert len(items) == 7
    fake.quirks.delta_repeats = fake.quirks.delta_empty_pages = False
    new = fake.deliver(mail("new"))
    items, link = await graph.delta(link)
    assert _present(items) == {new}
    fake.quirks.delta_replays = True
    items, _ = await graph.delta(link)
    assert _present(items) == {new}


async def test_a_change_may_be_told_a_round_later(fake: FakeGraph, graph: Client) -> None:
    fake.quirks.delta_lags = True
    _, link = await graph.delta("inbox", _select="isRead")
    new = fake.deliver(mail())
    items, link = await graph.delta(link)
    assert items == []
    items, link = await graph.delta(link)
    assert _present(items) == {new}
    assert (await graph.delta(link))[0] == []


async def test_what_changes_during_a_round_is_told_by_the_next(fake: FakeGraph, graph: Client) -> None:
    ids = [fake.deliver(mail(str(number))) for number in range(15)]
    page = await graph.get("/mailFolders/inbox/messages/delta", _select="isRead")
    told = _present(page["value"])
    late = next(each for each in ids if each not in told)
    fake.delete(late)
    new = fake.deliver(mail("new"))
    items, link = await graph.delta(page["@odata.nextLink"])
    assert late not in _present(items)
    items, _ = await graph.delta(link)
    assert (_removed(items), _present(items)) == ({late}, {new})


async def test_forgotten_tokens_are_told_in_both_ways(fake: FakeGraph, graph: Client) -> None:
    _, link = await graph.delta("inbox", _select="isRead")
    fake.expire_delta_tokens("inbox")
    response = await graph.call("GET", link)
    assert response.status_code == 410
    assert response.headers["location"].endswith("/messages/delta?$deltatoken=")
    assert (await graph.call("GET", response.headers["location"])).status_code == 200
    _, link = await graph.delta("inbox", _select="isRead")
    fake.expire_delta_tokens(status=400)
    response = await graph.call("GET", link)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "SyncStateNotFound")
    assert "location" not in response.headers
    fake.assert_no_violations()


async def test_expansions_are_ignored_or_fail(fake: FakeGraph, graph: Client) -> None:
    fake.deliver(mail())
    expand = "singleValueExtendedProperties($filter=id eq 'Integer 0x0E08')"
    items, _ = await graph.delta("inbox", _select="subject", _expand=expand)
    assert "singleValueExtendedProperties" not in items[0]
    fake.quirks.delta_expand_fails = True
    response = await graph.call("GET", "/mailFolders/inbox/messages/delta", _expand=expand)
    assert response.status_code == 500


@pytest.mark.parametrize(
    "options",
    [
        {"_search": '"x"'},
        {"_filter": "isRead eq true"},
        {"_orderby": "subject"},
        {"_select": "bogus"},
        {"changeType": "moved"},
        {"_top": "0"},
        {"_deltatoken": "bogus"},
    ],
)
async def test_what_delta_does_not_take_is_misuse(fake: FakeGraph, graph: Client, options: dict[str, str]) -> None:
    response = await graph.call("GET", "/mailFolders/inbox/messages/delta", **options)  # type: ignore[arg-type]
    assert response.status_code == 400
    assert len(fake.violations) == 1


async def test_links_are_followed_as_they_are(fake: FakeGraph, graph: Client) -> None:
    _, link = await graph.delta("inbox", _select="isRead")
    assert (await graph.call("GET", f"{link}&$select=isRead")).status_code == 400
    assert (await graph.call("GET", link[:-3] + "AAA")).status_code == 400
    assert len(fake.violations) == 2


async def test_changes_of_all_folders_are_not_tracked(fake: FakeGraph, graph: Client) -> None:
    assert await graph.refused("GET", "/messages/delta") == (400, "ErrorInvalidRequest")


async def test_only_some_changes_and_times_may_be_asked_for(fake: FakeGraph, graph: Client) -> None:
    fake.deliver(mail("old"), received=fake.clock.now().replace(year=2001))
    new = fake.deliver(mail("new"))
    items, _ = await graph.delta("inbox", _filter="receivedDateTime ge 2020-01-01T00:00:00Z")
    assert _present(items) == {new}
    _, link = await graph.delta("inbox", changeType="deleted")
    fake.mark(new, flag="flagged")
    assert (await graph.delta(link))[0] == []
    fake.delete(new)
    assert _removed((await graph.delta(link))[0]) == {new}
