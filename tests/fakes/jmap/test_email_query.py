"""Email/query: filters, order, windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, Quirk

START = datetime(2024, 1, 1, tzinfo=UTC)
OLDEST_FIRST = [{"property": "receivedAt", "isAscending": True}]


def day(number: int) -> datetime:
    return START + timedelta(days=number)


@pytest.fixture
def ids(fake: FakeJmap) -> dict[str, str]:
    """Three messages, named by the day on which they came."""
    return {
        "1": fake.deliver(
            "INBOX",
            b"From: Zoe <z@example.com>\r\nTo: a@example.com\r\nSubject: Re: Budget\r\n"
            b"Message-ID: <1@x>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nplans for spring\r\n",
            received_at=day(1),
            keywords=["$seen"],
        ),
        "3": fake.deliver(
            "Archive",
            b"From: Ann <ann@example.com>\r\nCc: c@example.com\r\nSubject: apples\r\nX-Tag: red\r\n"
            b"Date: Mon, 1 Jan 2001 10:00:00 +0000\r\n\r\n" + b"x" * 500 + b" Spring rolls\r\n",
            received_at=day(3),
        ),
        "2": fake.deliver(
            "INBOX",
            b"From: =?utf-8?Q?J=C3=B6rg?= <j@example.com>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
            b"Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nContent-Type: text/html\r\n\r\n"
            b"<b>hello</b> <i title='no'>you</i>\r\n",
            received_at=day(2),
            keywords=["$flagged"],
            also_in=["Archive"],
        ),
    }


async def found(client: Client, ids: dict[str, str], **arguments: Any) -> str:
    """Return the names of the messages that a query finds."""
    reply = await client.call("Email/query", **{"sort": OLDEST_FIRST, **arguments})
    names = {email_id: name for name, email_id in ids.items()}
    return "".join(names[email_id] for email_id in reply["ids"])


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (None, "123"),
        ({}, "123"),
        ({"inMailbox": "P1"}, "12"),
        ({"inMailbox": "P2"}, "23"),
        ({"inMailbox": "P999"}, ""),
        ({"inMailboxOtherThan": ["P1"]}, "23"),
        ({"before": "2024-01-03T00:00:00Z"}, "1"),
        ({"after": "2024-01-03T00:00:00Z"}, "23"),
        ({"minSize": 500}, "3"),
        ({"maxSize": 500}, "12"),
        ({"hasKeyword": "$SEEN"}, "1"),
        ({"notKeyword": "$seen"}, "23"),
        ({"someInThreadHaveKeyword": "$seen"}, "12"),
        ({"allInThreadHaveKeyword": "$seen"}, ""),
        ({"noneInThreadHaveKeyword": "$seen"}, "3"),
        ({"hasAttachment": False}, "123"),
        ({"from": "JÖRG"}, "2"),
        ({"to": "a@"}, "1"),
        ({"cc": "c@example.com"}, "3"),
        ({"bcc": "x"}, ""),
        ({"subject": "grüße"}, "2"),
        ({"body": "spring"}, "13"),
        ({"body": "spring plans"}, "1"),
        ({"body": "'spring plans'"}, ""),
        ({"body": "title"}, ""),
        ({"text": "spring budget"}, "1"),
        ({"text": '"hello you"'}, "2"),
        ({"header": ["x-tag"]}, "3"),
        ({"header": ["X-Tag", "RED"]}, "3"),
        ({"header": ["X-Tag", "blue"]}, ""),
        ({"inMailbox": "P1", "hasKeyword": "$flagged"}, "2"),
        ({"operator": "AND", "conditions": [{"inMailbox": "P1"}, {"inMailbox": "P2"}]}, "2"),
        ({"operator": "OR", "conditions": [{"subject": "apples"}, {"body": "plans"}]}, "13"),
        ({"operator": "NOT", "conditions": [{"inMailbox": "P1"}, {"subject": "none"}]}, "3"),
        (
            {"operator": "NOT", "conditions": [{"operator": "OR", "conditions": [{"from": "zoe"}, {"from": "ann"}]}]},
            "2",
        ),
    ],
)
async def test_filters(
    fake: FakeJmap, client: Client, ids: dict[str, str], condition: dict[str, Any] | None, names: str
) -> None:
    assert await found(client, ids, filter=condition) == names
    fake.assert_no_violations()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ([], "321"),
        ([{"property": "receivedAt"}], "123"),
        ([{"property": "receivedAt", "isAscending": False}], "321"),
        ([{"property": "size", "isAscending": False}], "321"),
        ([{"property": "from"}], "321"),
        ([{"property": "subject", "collation": "i;unicode-casemap"}], "312"),
        ([{"property": "sentAt"}], "231"),
        ([{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}, {"property": "receivedAt"}], "213"),
        (
            [
                {"property": "someInThreadHaveKeyword", "keyword": "$flagged"},
                {"property": "receivedAt", "isAscending": False},
            ],
            "321",
        ),
    ],
)
async def test_sort_orders(
    fake: FakeJmap, client: Client, ids: dict[str, str], sort: list[dict[str, Any]], names: str
) -> None:
    assert await found(client, ids, sort=sort) == names
    fake.assert_no_violations()


@pytest.mark.parametrize("condition", [None, {"minSize": 1}])
@pytest.mark.parametrize(
    ("window", "names", "position"),
    [
        ({"position": 1}, "23", 1),
        ({"position": 1, "limit": 1}, "2", 1),
        ({"position": -1}, "3", 2),
        ({"position": -9}, "123", 0),
        ({"position": 9}, "", 9),
        ({"limit": 0}, "", 0),
        ({"anchor": "2"}, "23", 1),
        ({"anchor": "2", "anchorOffset": 1, "position": 0}, "3", 2),
        ({"anchor": "2", "anchorOffset": -1, "limit": 2}, "12", 0),
        ({"anchor": "2", "anchorOffset": -5}, "123", 0),
        ({"anchorOffset": 2}, "123", 0),
    ],
)
async def test_windows(
    client: Client,
    ids: dict[str, str],
    condition: dict[str, Any] | None,
    window: dict[str, Any],
    names: str,
    position: int,
) -> None:
    """Each over a plain list, which is kept sorted, and over one that has to be searched for."""
    if "anchor" in window:
        window = {**window, "anchor": ids[window["anchor"]]}
    assert await found(client, ids, filter=condition, **window) == names
    reply = await client.call("Email/query", filter=condition, sort=OLDEST_FIRST, calculateTotal=True, **window)
    assert (reply["position"], reply["total"]) == (position, 3)
    assert "limit" not in reply


async def test_windows_of_the_reverse_order(client: Client, ids: dict[str, str]) -> None:
    latest_first = [{"property": "receivedAt", "isAscending": False}]
    assert await found(client, ids, sort=latest_first, position=1, limit=1) == "2"
    assert await found(client, ids, sort=latest_first, anchor=ids["3"], anchorOffset=1) == "21"


async def test_an_anchor_that_is_not_there_is_an_error(fake: FakeJmap, client: Client, ids: dict[str, str]) -> None:
    reply = await client.call("Email/query", filter={"inMailbox": "P1"}, anchor=ids["3"])
    assert reply["error"] == "anchorNotFound"
    assert (await client.call("Email/query", anchor="M0"))["error"] == "anchorNotFound"
    fake.assert_no_violations()


async def test_threads_collapse_to_their_first_message(client: Client, ids: dict[str, str]) -> None:
    assert await found(client, ids, collapseThreads=True) == "13"


@pytest.mark.parametrize("options", [FakeOptions(query_clamp=2)])
async def test_the_server_may_clamp_and_says_so(client: Client, ids: dict[str, str]) -> None:
    reply = await client.call("Email/query", sort=OLDEST_FIRST, limit=100)
    assert (reply["limit"], reply["ids"]) == (2, [ids["1"], ids["2"]])
    assert "limit" not in await client.call("Email/query", limit=1)
    assert (await client.call("Email/query"))["limit"] == 2


async def test_the_query_state_of_a_mailbox_ignores_keywords(
    fake: FakeJmap, client: Client, ids: dict[str, str]
) -> None:
    async def state() -> str:
        reply = await client.call("Email/query", filter={"inMailbox": "P1"}, sort=OLDEST_FIRST)
        return str(reply["queryState"])

    before = await state()
    fake.set_keywords(ids["1"], add=["x"])
    fake.deliver("Sent", b"Subject: x\r\n\r\n")
    assert await state() == before
    fake.move(ids["1"], "Archive")
    assert await state() != before


async def test_quirks_of_queries(fake: FakeJmap, client: Client, ids: dict[str, str]) -> None:
    fake.configure(quirks=frozenset({Quirk.COARSE_QUERY_STATE, Quirk.NO_CALCULATE_TOTAL}))
    first = await client.call("Email/query", calculateTotal=True)
    fake.set_keywords(ids["1"], add=["x"])
    second = await client.call("Email/query")
    assert "total" not in first
    assert first["queryState"] != second["queryState"]


async def test_query_changes_cannot_be_calculated(client: Client, ids: dict[str, str]) -> None:
    reply = await client.call("Email/query")
    assert reply["canCalculateChanges"] is False
    reply = await client.call("Email/queryChanges", sinceQueryState=reply["queryState"])
    assert reply["error"] == "cannotCalculateChanges"
