from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta

import pytest

from gateway.mailbox import sorted_places
from gateway.mailbox.sorted_places import SortedPlaces, merged
from gateway.mailbox.view import View
from gateway.wire.search import All
from gateway.wire.sort import SortCriterion, SortField
from tests.stack import INBOX, Stack

SUBJECTS = ("beta", "Re: alpha", "alpha", "", "gamma", "beta", "[x] Beta", "alpha", "delta", "beta")


async def opened(stack: Stack) -> View:
    backend = await stack.add_account("work", layout="folders")
    for number, subject in enumerate(SUBJECTS):
        text = f"From: f{number % 3}@x\r\nTo: t{number % 2}@x\r\nSubject: {subject}\r\n\r\n{'x' * (number % 4)}\r\n"
        date = datetime(2024, 1, 1 + number * 7 % 10, tzinfo=UTC) + timedelta(hours=number)
        backend.deliver(INBOX, text.encode(), internal_date=date)
    return await stack.open()


@pytest.mark.parametrize("most", [0, 100], ids=["sorting anew", "looking up"])
@pytest.mark.parametrize(
    "criteria",
    [
        (SortCriterion(SortField.SUBJECT), SortCriterion(SortField.DATE, is_reversed=True)),
        (SortCriterion(SortField.FROM, is_reversed=True), SortCriterion(SortField.SIZE)),
        (SortCriterion(SortField.ARRIVAL, is_reversed=True),),
        (SortCriterion(SortField.CC),),
        (SortCriterion(SortField.DISPLAYTO), SortCriterion(SortField.DISPLAYFROM, is_reversed=True)),
    ],
    ids=str,
)
async def test_messages_belong_where_sorting_puts_them(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, most: int, criteria: tuple[SortCriterion, ...]
) -> None:
    monkeypatch.setattr(sorted_places, "MOST_LOOKED_UP", most)
    view = await opened(stack)
    whole = list(await view.sorter.sorted_numbers(await view.find(All()), criteria, is_uid=True))
    places = view.places(criteria)
    for new in ([1], [3, 7], [1, 2, 9, 10], list(range(1, 11))):
        order = array("I", [uid for uid in whole if uid not in new])
        assert list(merged(order, await places.find(order, new))) == whole


@pytest.mark.parametrize("most", [0, 100], ids=["sorting anew", "looking up"])
async def test_what_is_gone_has_no_place_and_tells_none(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(sorted_places, "MOST_LOOKED_UP", most)
    criteria = (SortCriterion(SortField.SUBJECT),)
    view = await opened(stack)
    whole = list(await view.sorter.sorted_numbers(await view.find(All()), criteria, is_uid=True))
    gone = [3, 6, 9]
    await view.expunge(gone, only_deleted=False)
    view.catch_up(allow_expunge=True)
    order = array("I", [uid for uid in whole if uid not in (1, 8)])
    found = await SortedPlaces.find(view.places(criteria), order, [1, 8, 9])
    assert [uid for uid in merged(order, found) if uid not in gone] == [uid for uid in whole if uid not in gone]
    assert 9 not in [uid for _, uid in found]
