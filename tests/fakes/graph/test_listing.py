"""Lists of messages: pages, order, filters, search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph

_BY_ID = "internetMessageId eq '<2@example.org>'"
_BY_PROPERTY = "singleValueExtendedProperties/Any(ep: ep/id eq 'String 0x1035' and ep/value eq '<2@example.org>')"


async def _fill(fake: FakeGraph, count: int) -> list[str]:
    start = fake.clock.now()
    return [
        fake.deliver(
            mail(f"subject {number}", message_id=f"{number}@example.org"),
            received=start + timedelta(minutes=number),
            is_read=number % 2 == 0,
            categories=["even"] if number % 2 == 0 else [],
        )
        for number in range(count)
    ]


async def test_pages_have_ten_newest_first_and_follow_links(fake: FakeGraph, graph: Client) -> None:
    ids = await _fill(fake, 25)
    page = await graph.get("/mailFolders/inbox/messages", _select="id", _count="true")
    assert page["@odata.count"] == 25
    found = [each["id"] for each in page["value"]]
    assert len(found) == 10
    while "@odata.nextLink" in page:
        page = await graph.get(page["@odata.nextLink"])
        found += [each["id"] for each in page["value"]]
    assert found == ids[::-1]
    fake.assert_no_violations()


async def test_a_link_keeps_selection_and_expansion(fake: FakeGraph, graph: Client) -> None:
    await _fill(fake, 3)
    expand = "singleValueExtendedProperties($filter=id eq 'Integer 0x0E07')"
    page = await graph.get("/mailFolders/inbox/messages", _select="isRead", _top="2", _expand=expand)
    (last,) = (await graph.get(page["@odata.nextLink"]))["value"]
    assert last.keys() == {"@odata.etag", "id", "isRead", "singleValueExtendedProperties"}
    assert (await graph.call("GET", page["@odata.nextLink"] + "&$top=3")).status_code == 400
    assert len(fake.violations) == 1


async def test_mail_that_arrives_shifts_the_next_page(fake: FakeGraph, graph: Client) -> None:
    ids = await _fill(fake, 4)
    page = await graph.get("/mailFolders/inbox/messages", _select="id", _top="2")
    fake.deliver(mail(), received=fake.clock.now() + timedelta(days=1))
    page = await graph.get(page["@odata.nextLink"])
    assert [each["id"] for each in page["value"]] == [ids[2], ids[1]]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (_BY_ID, [2]),
        (_BY_PROPERTY, [2]),
        ("isRead eq false", [3, 1]),
        ("categories/any(c:c eq 'even')", [4, 2, 0]),
        ("not (isRead eq true) and contains(subject,'3')", [3]),
        ("startswith(subject,'subject') and from/emailAddress/address eq 'ada@example.org'", [4, 3, 2, 1, 0]),
        ("flag/flagStatus eq 'flagged'", []),
    ],
)
async def test_filters_choose(fake: FakeGraph, graph: Client, condition: str, expected: list[int]) -> None:
    ids = await _fill(fake, 5)
    assert await graph.ids(_filter=condition) == [ids[number] for number in expected]
    fake.assert_no_violations()


async def test_times_are_compared(fake: FakeGraph, graph: Client) -> None:
    ids = await _fill(fake, 3)
    moment = (fake.clock.now() + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = await graph.ids(_filter=f"receivedDateTime ge {moment}", _orderby="receivedDateTime asc")
    assert found == ids[1:]


@pytest.mark.parametrize(
    "options",
    [
        {"_top": "1001"},
        {"_top": "0"},
        {"_select": "attachments"},
        {"_select": "wellKnownName"},
        {"_expand": "singleValueExtendedProperties"},
        {"_expand": "singleValueExtendedProperties($filter=id eq '0x0E08')"},
        {"_expand": "bogus"},
        {"_filter": "bogus eq 1"},
        {"_filter": "isRead eq 'x'"},
        {"_filter": "isRead eq true", "_orderby": "subject"},
        {"_filter": " or ".join(["isRead eq true"] * 11)},
        {"_search": "x"},
        {"_search": '"x"', "_filter": "isRead eq true"},
        {"includeHiddenFolders": "true"},
        {"bogus": "1"},
        {"_skiptoken": "x"},
    ],
)
async def test_wrong_queries_are_refused_and_noted(fake: FakeGraph, graph: Client, options: dict[str, Any]) -> None:
    assert (await graph.call("GET", "/mailFolders/inbox/messages", **options)).status_code == 400
    assert len(fake.violations) == 1


async def test_search_is_for_words_and_their_beginnings(fake: FakeGraph, graph: Client) -> None:
    found = fake.deliver(mail("Annual report", body="the figures agree"))
    fake.deliver(mail("other"))
    for text in ('"figur"', '"annual report"', '"subject:report"', '"from:ada AND body:agree"'):
        assert found in await graph.ids(_search=text)
    assert await graph.ids(_search='"igures"') == []
    assert await graph.ids(_search='"body:annual"') == []
