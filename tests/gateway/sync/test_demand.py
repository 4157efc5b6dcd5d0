from __future__ import annotations

import asyncio

import pytest

from gateway.sync.demand import Demand
from gateway.sync.schedule import Urgency
from gateway.sync.turns import Turns
from tests.stack import INBOX, Stack


@pytest.fixture
async def demand(stack: Stack) -> Demand:
    """Return what is asked of an account of which nothing has been asked for."""
    await stack.add_account(layout="folders")
    return Demand(stack.engine().context, Turns())


async def test_the_most_urgent_comes_first_and_each_mailbox_once(demand: Demand) -> None:
    demand.request(1, Urgency.POLLED)
    demand.request(2, Urgency.OPEN)
    demand.request(1, Urgency.WAITED_FOR)
    assert [await demand.next(), await demand.next()] == [(1, Urgency.WAITED_FOR), (2, Urgency.OPEN)]
    assert not demand.has_mailboxes


async def test_whoever_finds_nothing_is_given_what_is_asked_for_next(demand: Demand) -> None:
    waiting = [asyncio.create_task(demand.next()) for _ in range(2)]
    await asyncio.sleep(0)
    demand.request(1)
    demand.request(2)
    assert sorted(await asyncio.gather(*waiting)) == [(1, Urgency.OPEN), (2, Urgency.OPEN)]


async def test_a_tree_asked_for_while_it_is_listed_is_listed_again(demand: Demand) -> None:
    demand.request_tree(is_awaited=True)
    assert await demand.next_tree()
    demand.tree_begun()
    assert not demand.is_for(1)
    demand.request_tree()
    assert not await demand.next_tree()
    assert demand.is_for(1)


async def test_nothing_is_asked_for_a_mailbox_that_is_gone(demand: Demand) -> None:
    demand.request(1)
    demand.retries.later(1, 3600.0)
    demand.forget(1)
    assert not demand.is_for(1)
    assert not demand.has_mailboxes


async def test_what_is_due_is_read_as_urgently_as_befits_it(stack: Stack, demand: Demand) -> None:
    await stack.engine().wait_for_tree(10)
    rows = {row.path: row for row in await demand._context.rows()}
    inbox, archive, sent = rows[INBOX], rows[("Archive",)], rows[("Sent",)]
    demand.interest = frozenset({archive.id})
    demand.request_due([sent, inbox, archive])
    assert [await demand.next() for _ in range(3)] == [
        (archive.id, Urgency.OPEN),
        (inbox.id, Urgency.INBOX),
        (sent.id, Urgency.POLLED),
    ]


async def test_news_are_waited_for_only_while_somebody_has_a_mailbox_open(stack: Stack, demand: Demand) -> None:
    view = await stack.open()
    row = await demand._context.row(view.mailbox_id)
    assert row is not None
    assert demand.is_awaited(row, Urgency.WAITED_FOR)
    assert not demand.is_awaited(row, Urgency.PUSHED)
    demand.interest = frozenset({row.id})
    assert demand.is_awaited(row, Urgency.PUSHED)
    assert not demand.is_awaited(row, Urgency.POLLED)
