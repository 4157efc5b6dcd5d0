"""When a folder is read whole."""

from __future__ import annotations

import msgspec
import pytest

from connectors.api.priority import Priority, prioritised
from connectors.api.types import MailboxRef, MessageRef
from connectors.graph import reconcile
from connectors.graph.cursors import Mark, decode_cursor
from connectors.graph.known import Known
from connectors.graph.looks import DOUBTS
from connectors.graph.reconcile import WHOLE_INTERVAL_S, Tally
from tests.connectors.graph.follower import Follower, truth
from tests.connectors.graph.writing_rig import MakeRig, Rig, mail
from tests.fakes.graph import seeds
from tests.fakes.graph.fake import FakeGraph

A, B = MailboxRef("a"), MailboxRef("b")


def refs(*names: str) -> list[MessageRef]:
    return [MessageRef(name) for name in names]


def test_of_a_folder_that_is_known_it_is_known_what_came_and_went() -> None:
    known = Known()
    known.listed(refs("old", "older"), A)
    known.put(refs("moved"), B)

    tally = Tally.of(known, A, refs("old", "new", "moved"), refs("older", "never"))

    assert tally == Tally(added=2, removed=1)
    assert tally.is_sure
    assert tally.advance(2, 2) == (3, 3)


def test_of_one_that_is_not_it_is_known_within_bounds() -> None:
    known = Known()
    known.put(refs("old"), A)

    tally = Tally.of(known, A, refs("old", "new"), refs("gone"))

    assert tally == Tally(perhaps_added=1, perhaps_removed=1)
    assert not tally.is_sure
    assert tally.advance(5, 5) == (4, 6)


@pytest.mark.parametrize(("count", "is_allowed"), [(2, False), (3, True), (5, True), (7, True), (8, False)])
def test_a_number_may_be_of_any_moment_in_between(count: int, is_allowed: bool) -> None:
    assert Tally(added=2, removed=2).allows(5, 5, count) is is_allowed


@pytest.fixture
async def follower(rig: Rig, fake: FakeGraph) -> Follower:
    fake.deliver(mail(1))
    follower = Follower(rig.mail)
    await follower.begin()
    return follower


async def test_numbers_that_cannot_be_have_the_folder_read_whole(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    ref = rig.ref("inbox")
    # As if an arrival had been told by nobody.
    mark = decode_cursor(follower.folders[ref].cursor, rig.client.root)
    follower.folders[ref].cursor = msgspec.structs.replace(mark, least=0, most=0).encode()
    fake.stats.clear()

    await follower.poll(DOUBTS - 1)
    assert fake.stats.batched["messages.delta"] == 0
    await follower.poll()

    assert fake.stats.batched["messages.delta"] == 1
    await follower.poll(3)
    assert fake.stats.batched["messages.delta"] == 1


async def test_items_of_other_types_do_not_have_it_read_again_and_again(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    fake.add_strangers("inbox", 5)
    await follower.poll(5)
    fake.stats.clear()
    fake.deliver(mail(2))

    await follower.poll(3)

    assert fake.stats.batched["messages.delta"] == 0
    assert follower.messages() == truth(fake, follower)


async def test_mail_that_comes_all_the_time_raises_no_doubt(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    fake.stats.clear()
    for number in range(8):
        await rig.mail.read_tree()
        # After the numbers were told, and before the changes are.
        fake.deliver(mail(number))
        with prioritised(Priority.BACKGROUND):
            await follower.look(rig.ref("inbox"))

    assert fake.stats.batched["messages.delta"] == 0


async def test_a_folder_is_read_whole_now_and_then_while_nobody_waits(rig: Rig, follower: Follower) -> None:
    mark = decode_cursor(follower.folders[rig.ref("inbox")].cursor, rig.client.root)
    old = msgspec.structs.replace(mark, whole_at=mark.whole_at - 1.5 * WHOLE_INTERVAL_S)

    assert not reconcile.is_due(rig.mail, rig.ref("inbox"), old)
    with prioritised(Priority.BACKGROUND):
        assert reconcile.is_due(rig.mail, rig.ref("inbox"), old)
        assert not reconcile.is_due(rig.mail, rig.ref("inbox"), mark)


async def test_folders_are_not_all_due_at_once(rig: Rig) -> None:
    now = rig.mail.clock.now().timestamp()
    mark = Mark(rig.client.root, whole_at=now - 1.25 * WHOLE_INTERVAL_S)

    with prioritised(Priority.BACKGROUND):
        due = [reconcile.is_due(rig.mail, MailboxRef(f"folder {number}"), mark) for number in range(100)]

    assert 20 < sum(due) < 80


async def test_after_a_restart_a_folder_in_which_something_changes_is_read_whole_once(
    fake: FakeGraph, make_rig: MakeRig, follower: Follower
) -> None:
    seeds.seed_folders(fake, {"archive": 20})
    archive = MailboxRef(fake.folder_id("archive"))
    await follower.relist(archive)
    follower.mail = make_rig().mail
    fake.mark(fake.ids_in("archive")[0], is_read=True)
    fake.stats.clear()

    await follower.poll(2)
    assert fake.stats.batched["messages.delta"] == 1
    fake.mark(fake.ids_in("archive")[0], is_read=False)
    await follower.poll(3)

    assert fake.stats.batched["messages.delta"] == 1
    assert follower.messages() == truth(fake, follower)


async def test_what_a_whole_reading_misses_is_looked_for_elsewhere(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    fake.quirks.delta_loses_arrivals = True
    message, inbox, archive = fake.ids_in("inbox")[0], rig.ref("inbox"), rig.ref("archive")
    fake.move(message, "archive")
    rig.mail.known.make_due(inbox)

    [whole] = await follower.look(inbox)
    [page] = await follower.look(archive)

    assert whole.present == frozenset()
    assert [state.ref for state in page.changed] == [message]


async def test_a_whole_reading_comes_in_pages_and_ends_with_all_there_is(fake: FakeGraph, rig: Rig) -> None:
    seeds.seed_folders(fake, {"archive": 1500})
    archive = rig.ref("archive")

    pages = [page async for page in reconcile.read_whole(rig.mail, archive, Mark(rig.client.root))]

    assert [len(page.changed) for page in pages] == [1000, 500]
    assert [page.present is None for page in pages] == [True, False]
    assert [page.cursor is None for page in pages] == [True, False]
    assert pages[1].present == frozenset(fake.ids_in("archive"))
