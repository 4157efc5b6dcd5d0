"""Listings in pages, complete whatever happens between two of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

import pytest

from connectors.api.errors import NotFound
from connectors.api.types import MailboxRef, MessageRef, MessageState
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import BEGIN, Stage, staged
from tests.fakes.jmap.options import FakeOptions, Quirk

SMALL = FakeOptions(max_objects_in_get=10)


async def read(
    pages: AsyncIterator[Sequence[MessageState]], between: Callable[[int], None] = lambda number: None
) -> list[MessageRef]:
    """Read a listing and let something happen after each page."""
    refs: list[MessageRef] = []
    number = 0
    async for page in pages:
        refs += [state.ref for state in page]
        between(number)
        number += 1
    return refs


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 28, 37])
async def test_every_message_comes_once_and_in_order(count: int) -> None:
    async with staged(SMALL) as stage:
        refs = stage.fill(count)
        assert await read(stage.connector.listing(stage.ref())) == refs
        assert await read(stage.connector.list_account()) == refs


async def test_states_are_complete() -> None:
    async with staged() as stage:
        ref = stage.fake.deliver("INBOX", mail(1), keywords=["$seen", "work"], received_at=BEGIN, also_in=["Sent"])
        ((state,),) = [page async for page in stage.connector.listing(stage.ref())]
        assert state == MessageState(
            MessageRef(ref),
            mailboxes=frozenset({stage.ref(), stage.ref("Sent")}),
            flags=frozenset({"\\Seen", "work"}),
            internal_date=BEGIN,
            size=len(mail(1)),
            email_id=ref,
            thread_id=stage.fake.email(ref).thread_id,
        )


async def test_a_message_in_many_mailboxes_is_listed_once_in_the_account() -> None:
    async with staged() as stage:
        ref = stage.fake.deliver("INBOX", mail(1), also_in=["Sent", "Archive"])
        assert await read(stage.connector.list_account()) == [ref]


async def test_an_unknown_mailbox_is_not_found() -> None:
    async with staged() as stage:
        with pytest.raises(NotFound):
            await read(stage.connector.listing(MailboxRef("nowhere")))


@pytest.mark.parametrize("clamp", [2, 3, 7])
async def test_short_replies_are_followed_to_the_end(clamp: int) -> None:
    async with staged(FakeOptions(query_clamp=clamp, quirks=frozenset({Quirk.NO_CALCULATE_TOTAL}))) as stage:
        refs = stage.fill(23)
        assert await read(stage.connector.list_account()) == refs


async def test_nothing_slips_by_when_messages_before_are_destroyed() -> None:
    async with staged(SMALL) as stage:
        refs = stage.fill(45)

        def destroy(number: int) -> None:
            for ref in refs[number * 4 : number * 4 + 4]:
                stage.fake.remove(ref)

        found = await read(stage.connector.list_account(), destroy)
        assert set(stage.fake.account().emails) <= set(found)


async def test_nothing_slips_by_when_the_whole_page_is_destroyed() -> None:
    async with staged(SMALL) as stage:
        refs = stage.fill(45)

        def destroy(number: int) -> None:
            if number == 1:
                for ref in refs[:25]:
                    stage.fake.remove(ref)

        found = await read(stage.connector.list_account(), destroy)
        assert set(refs[25:]) <= set(found)


async def test_nothing_slips_by_when_everything_before_is_destroyed_and_the_list_gets_short() -> None:
    async with staged(SMALL) as stage:
        refs = stage.fill(30)

        def destroy(number: int) -> None:
            if number == 1:
                for ref in refs[:19]:
                    stage.fake.remove(ref)

        found = await read(stage.connector.list_account(), destroy)
        assert set(refs[19:]) <= set(found)


async def test_older_messages_that_come_in_between_do_not_stop_it() -> None:
    async with staged(SMALL) as stage:
        refs = stage.fill(30)

        def deliver(number: int) -> None:
            if number < 3:
                for hour in range(15):
                    stage.fake.deliver("INBOX", mail(1000 + number), received_at=BEGIN - timedelta(hours=hour))

        found = await read(stage.connector.list_account(), deliver)
        assert set(refs) <= set(found)


@pytest.mark.parametrize("seed", range(12))
async def test_what_stays_is_listed_in_any_history(seed: int) -> None:
    chance = random.Random(seed)
    async with staged(FakeOptions(max_objects_in_get=chance.choice([2, 3, 5, 10]))) as stage:
        refs = stage.fill(40)
        here = list(refs)

        def happen(number: int) -> None:
            # It would never end if more came each time than one page holds.
            for _ in range(chance.randrange(6) if number < 20 else 0):
                if chance.random() < 0.7 and here:
                    stage.fake.remove(here.pop(chance.randrange(len(here) // 2 + 1)))
                else:
                    # As old as any of them, several in one second.
                    moment = BEGIN + timedelta(seconds=chance.randrange(40))
                    stage.fake.deliver("INBOX", mail(2000 + number), received_at=moment)

        found = await read(stage.connector.listing(stage.ref()), happen)
        assert set(here) <= set(found)


async def test_messages_of_one_second_are_all_listed() -> None:
    async with staged(FakeOptions(max_objects_in_get=4)) as stage:
        refs = {stage.fake.deliver("INBOX", mail(number), received_at=BEGIN) for number in range(18)}
        found = await read(stage.connector.list_account(), lambda number: _destroy_first(stage))
        assert set(stage.fake.account().emails) <= set(found) <= refs


def _destroy_first(stage: Stage) -> None:
    first = next(iter(stage.fake.account().emails), None)
    if first is not None:
        stage.fake.remove(first)


async def test_a_server_that_gives_more_than_it_was_asked_for_is_read_all_the_same() -> None:
    async with staged() as stage:
        refs = stage.fill(8)
        stage.fake.fail_next("Email/get", "method-error", error="requestTooLarge")
        assert await read(stage.connector.list_account()) == refs


@pytest.mark.parametrize("quirk", [Quirk.GET_STOPS_SHORT, Quirk.LIMITS_COUNT_TOGETHER])
async def test_nothing_slips_by_where_a_server_gives_fewer_than_it_says(quirk: Quirk) -> None:
    async with staged(FakeOptions(max_objects_in_get=20, quirks=frozenset({quirk}))) as stage:
        refs = stage.fill(65)
        assert await read(stage.connector.listing(stage.ref())) == refs
        assert await read(stage.connector.list_account()) == refs
