"""Reading folders whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.api.errors import NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.graph import listing
from connectors.graph.cursors import decode_cursor
from connectors.graph.patience import FAILURES
from tests.connectors.graph.writing_rig import Rig, mail
from tests.fakes.graph import seeds
from tests.fakes.graph.fake import FakeGraph


async def read(rig: Rig, name: str = "inbox") -> list[MessageState]:
    """Take a position and list a folder."""
    await listing.position(rig.mail, rig.ref(name))
    return [state async for page in listing.listing(rig.mail, rig.ref(name)) for state in page]


async def test_messages_come_oldest_first_with_flags_date_and_an_estimate(fake: FakeGraph, rig: Rig) -> None:
    late = fake.deliver(mail(1), received=datetime(2024, 5, 7, tzinfo=UTC), is_read=True, is_flagged=True)
    early = fake.deliver(mail(2), received=datetime(2024, 5, 6, tzinfo=UTC), categories=["To Do", "Blue"])
    fake.mark(late, verb=102)

    states = await read(rig)

    assert [state.ref for state in states] == [early, late]
    assert states[0].flags == frozenset({"$label4", "Blue"})
    assert states[1].flags == frozenset({"\\Seen", "\\Flagged", "\\Answered"})
    assert states[0].internal_date == datetime(2024, 5, 6, tzinfo=UTC)
    assert all(state.size and not state.size_is_exact for state in states)


@pytest.mark.parametrize("count", [0, 1, 999, 1000])
async def test_a_small_folder_costs_one_request(fake: FakeGraph, rig: Rig, count: int) -> None:
    seeds.seed_folders(fake, {"archive": count})
    await rig.mail.read_tree()
    fake.stats.clear()

    states = await read(rig, "archive")

    assert len({state.ref for state in states}) == count
    assert fake.stats.total_requests == 1


async def test_a_large_folder_costs_two_requests_for_each_thousand(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 3500})
    await rig.mail.read_tree()
    fake.stats.clear()

    states = await read(rig, "archive")

    assert len({state.ref for state in states}) == 3500
    assert fake.stats.total_requests <= 8
    assert [state.internal_date for state in states] == sorted(
        state.internal_date for state in states if state.internal_date is not None
    )


async def test_a_skeleton_of_ten_thousand_messages_takes_25_requests_and_one_for_each_folder(
    fake: FakeGraph, rig: Rig
) -> None:
    seeds.seed(fake, 10_000, 12)
    fake.stats.clear()
    await rig.mail.read_places()
    tree = await rig.mail.read_tree()

    found = set[MessageRef]()
    for info in tree.infos:
        await listing.position(rig.mail, info.ref)
        async for page in listing.listing(rig.mail, info.ref):
            found.update(state.ref for state in page)

    assert len(found) == 10_000
    assert fake.stats.total_requests <= 25 + len(tree.infos)
    assert fake.stats.most_at_once <= 4
    assert fake.stats.without_immutable_ids == 0


async def test_a_message_that_falls_between_two_pages_is_found_all_the_same(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 2500})
    before = fake.ids_in("archive")
    await listing.position(rig.mail, rig.ref("archive"))
    newest = before[-3:]

    original = rig.mail.client.pages

    async def shrinking(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        # Pages count from the newest: when some of these go, as many others move up over the border.
        async for page in original(*args, **kwargs):
            while newest:
                fake.delete(newest.pop())
            yield page

    rig.mail.client.pages = shrinking  # type: ignore[method-assign]
    found = {state.ref async for page in listing.listing(rig.mail, rig.ref("archive")) for state in page}

    # Those that went had been told by then; the changes tell that they are gone.
    assert found == set(before)


async def test_what_left_the_folder_while_it_was_read_is_not_brought_back(fake: FakeGraph, rig: Rig) -> None:
    stays, goes = fake.deliver(mail(1)), fake.deliver(mail(2))
    gone = fake.deliver(mail(3))
    for _ in range(1001):
        fake.deliver(mail(4), "archive")
    await rig.mail.read_tree()
    cursor = await listing.position(rig.mail, rig.ref("inbox"))
    fake.move(goes, "archive")
    fake.delete(gone)
    rig.mail.looks.take_prime(rig.ref("inbox"))

    states = [state async for page in listing.listing(rig.mail, rig.ref("inbox")) for state in page]

    assert [state.ref for state in states] == [stays]
    assert decode_cursor(cursor, rig.client.root).least == 3


async def test_a_listing_without_a_position_before_it_is_whole(fake: FakeGraph, rig: Rig) -> None:
    refs = {fake.deliver(mail(number)) for number in range(3)}

    states = [state async for page in listing.listing(rig.mail, rig.ref("inbox")) for state in page]

    assert {state.ref for state in states} == refs


async def test_disorder_repeats_and_empty_pages_change_nothing(fake: FakeGraph, rig: Rig) -> None:
    fake.quirks.delta_repeats = fake.quirks.delta_empty_pages = fake.quirks.delta_disorder = True
    seeds.seed_folders(fake, {"archive": 1200})

    states = await read(rig, "archive")

    assert sorted(state.ref for state in states) == sorted(fake.ids_in("archive"))


async def test_the_list_is_not_taken_if_it_was_begun_before_the_changes_ended(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 900})
    await rig.mail.read_tree()
    for number in range(200):
        fake.deliver(mail(number), "archive")

    states = await read(rig, "archive")

    assert len(states) == 1100


async def test_a_folder_that_is_gone_is_not_found(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists"))
    await rig.mail.read_tree()
    fake.delete_folder("Lists")

    with pytest.raises(NotFound):
        await listing.position(rig.mail, ref)
    with pytest.raises(NotFound):
        [page async for page in listing.listing(rig.mail, ref)]
    with pytest.raises(NotFound):
        await listing.position(rig.mail, MailboxRef("nonsense"))


async def test_a_list_that_breaks_off_is_no_shorter_list(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 2500})
    await listing.position(rig.mail, rig.ref("archive"))
    fake.fail_next("folder-messages.list", times=20, skip=1, status=500)

    with pytest.raises(Unavailable):
        [page async for page in listing.listing(rig.mail, rig.ref("archive"))]
    fake.faults.clear()


async def test_pages_that_take_graph_too_long_are_made_smaller(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 1300})
    await listing.position(rig.mail, rig.ref("archive"))
    # The second page of 1,000 fails as often as it is asked for.
    fake.fail_next("folder-messages.list", times=FAILURES, skip=1, status=504)

    states = [state async for page in listing.listing(rig.mail, rig.ref("archive")) for state in page]

    assert len({state.ref for state in states}) == 1300
    assert rig.mail.page == 250
    fake.fail_next("folder-messages.list", times=100, status=504)
    with pytest.raises(Unavailable):
        [page async for page in listing.listing(rig.mail, rig.ref("archive"))]
    fake.faults.clear()


async def test_a_search_folder_shows_what_is_elsewhere(fake: FakeGraph, rig: Rig) -> None:
    unread, _ = fake.deliver(mail(1)), fake.deliver(mail(2), is_read=True)
    search = MailboxRef(fake.create_search_folder("Unread Mail"))

    cursor = await listing.position(rig.mail, search)
    states = [state async for page in listing.listing(rig.mail, search) for state in page]

    assert [state.ref for state in states] == [unread]
    assert decode_cursor(cursor, rig.client.root).link == ""
