"""What a sparse listing does not tell is read when somebody asks for it, and only then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.memory.faults import Operation
from gateway.mailbox.fetch import FetchRow, Needs
from gateway.mailbox.view import View
from tests.stack import INBOX, Stack, message

ARRIVED = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


async def opened(stack: Stack) -> View:
    backend = await stack.add_account("work", layout="items", listing="sparse")
    backend.is_sparse = True
    for number in (1, 2, 3):
        backend.deliver(INBOX, message(number), internal_date=ARRIVED)
    return await stack.open()


async def rows(view: View, needs: Needs) -> list[FetchRow]:
    return [row async for block in view.fetch(list(view.uids), needs) for row in block]


async def test_dates_are_found_out_for_internaldate_alone(stack: Stack) -> None:
    view = await opened(stack)
    found = await rows(view, Needs(date=True))
    assert [row.internal_date for row in found] == [b'" 3-Feb-2024 04:05:06 +0000"'] * 3


async def test_sizes_are_found_out_for_size_alone(stack: Stack) -> None:
    view = await opened(stack)
    assert [row.size for row in await rows(view, Needs(size=True))] == [len(message(1))] * 3


@pytest.mark.parametrize("needs", [Needs(date=True), Needs(size=True), Needs(envelope=True), Needs(structure=True)])
async def test_what_was_found_out_is_not_asked_for_again(stack: Stack, needs: Needs) -> None:
    view = await opened(stack)
    calls = stack.backends["work"].faults.calls
    await rows(view, needs)
    before = calls[Operation.OUTLINES], calls[Operation.FETCH]
    assert sum(before) > 0
    await rows(view, needs)
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH]) == before


async def test_previews_are_made_only_if_that_is_asked_for_and_once(stack: Stack) -> None:
    view = await opened(stack)
    calls = stack.backends["work"].faults.calls
    assert [row.preview for row in await rows(view, Needs(preview=True))] == [None] * 3
    assert (calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == (0, 0)
    made = [row.preview for row in await rows(view, Needs(preview=True, makes_previews=True))]
    assert None not in made
    before = calls[Operation.FETCH], calls[Operation.FETCH_MANY]
    assert sum(before) > 0
    assert [row.preview for row in await rows(view, Needs(preview=True, makes_previews=True))] == made
    assert (calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == before


async def test_nothing_is_read_for_flags(stack: Stack) -> None:
    view = await opened(stack)
    assert len(await rows(view, Needs())) == 3
    calls = stack.backends["work"].faults.calls
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH]) == (0, 0)
