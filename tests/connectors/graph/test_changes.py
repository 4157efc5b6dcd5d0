"""What happened in a folder after a position, however Graph tells it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.api.errors import CursorExpired, NotFound, RateLimited, Unavailable
from connectors.api.types import BytesContent, Cursor, MailboxRef, MessageRef
from connectors.graph import appending, changes, expunging, listing, writing
from connectors.graph.changes import SAVE_INTERVAL_S
from connectors.graph.cursors import decode_cursor
from connectors.graph.mail import Mail
from tests.connectors.graph.follower import Follower, truth
from tests.connectors.graph.writing_rig import MakeRig, Rig, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph import seeds
from tests.fakes.graph.fake import FakeGraph

QUIRKS = ("delta_repeats", "delta_replays", "delta_partial", "delta_empty_pages")


@pytest.fixture
async def follower(rig: Rig, fake: FakeGraph) -> Follower:
    """A follower of an inbox with three messages, and of all other folders."""
    for number in range(3):
        fake.deliver(mail(number), received=datetime(2024, 5, 6, number, tzinfo=UTC))
    follower = Follower(rig.mail)
    await follower.begin()
    return follower


async def test_nothing_new_is_one_request_and_no_page(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    fake.stats.clear()

    assert await follower.look(rig.ref("inbox")) == []
    assert await follower.look(rig.ref("inbox")) == []
    assert fake.stats.requests == {"messages.delta": 2}


async def test_new_and_altered_messages_are_told_with_all_their_flags(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    first, _, third = fake.ids_in("inbox")
    fake.mark(first, is_read=True)
    fake.mark(third, verb=102, categories=["Blue"])
    new = fake.deliver(mail(7), is_flagged=True)

    [page] = await follower.look(rig.ref("inbox"))

    told = {state.ref: state.flags for state in page.changed}
    assert told == {
        first: frozenset({"\\Seen"}),
        third: frozenset({"\\Answered", "Blue"}),
        new: frozenset({"\\Flagged"}),
    }
    assert page.removed == ()
    assert page.cursor is not None
    assert await follower.look(rig.ref("inbox")) == []


async def test_new_messages_come_oldest_first(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    hours = [5, 3, 4, 1, 2]
    refs = {hour: fake.deliver(mail(hour), received=datetime(2024, 5, 7, hour, tzinfo=UTC)) for hour in hours}

    [page] = await follower.look(rig.ref("inbox"))

    assert [state.ref for state in page.changed] == [refs[hour] for hour in sorted(hours)]


async def test_what_was_deleted_or_moved_away_is_removed(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    deleted, purged, moved = fake.ids_in("inbox")
    fake.delete(deleted)
    fake.purge(purged)
    fake.move(moved, "archive")

    [page] = await follower.look(rig.ref("inbox"))

    assert set(page.removed) == {deleted, purged, moved}
    assert page.changed == ()


async def test_what_is_deleted_but_can_be_recovered_is_removed(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    fake.quirks.deleted_are_found = True
    deleted = fake.ids_in("inbox")[0]
    fake.delete(deleted)

    [page] = await follower.look(rig.ref("inbox"))

    assert page.removed == (deleted,)
    await follower.poll()
    assert follower.messages() == truth(fake, follower)


async def test_what_went_away_and_came_back_is_not_removed(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    message = fake.ids_in("inbox")[1]
    fake.move_there_and_back(message, "archive")
    fake.mark(message, is_read=True)

    [page] = await follower.look(rig.ref("inbox"))

    assert page.removed == ()
    assert [(state.ref, state.flags) for state in page.changed] == [(message, frozenset({"\\Seen"}))]


async def test_an_arrival_that_is_never_told_is_found_by_the_removal_elsewhere(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    fake.quirks.delta_loses_arrivals = True
    message = fake.ids_in("inbox")[1]
    fake.move(message, "archive")

    await follower.look(rig.ref("inbox"))
    [page] = await follower.look(rig.ref("archive"))

    assert [state.ref for state in page.changed] == [message]
    assert await follower.look(rig.ref("archive")) == []
    assert follower.messages() == truth(fake, follower)


async def test_an_arrival_that_is_never_told_is_found_after_a_restart_by_counting(
    fake: FakeGraph, make_rig: MakeRig, follower: Follower
) -> None:
    fake.quirks.delta_loses_arrivals = True
    fake.move(fake.ids_in("inbox")[1], "archive")
    await follower.look(MailboxRef(fake.folder_id("inbox")))
    follower.mail = make_rig().mail

    await follower.poll(3)

    assert follower.messages() == truth(fake, follower)


async def test_a_stray_that_turns_up_during_a_look_is_left_for_the_next(
    fake: FakeGraph, rig: Rig, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked, there, _ = fake.ids_in("inbox")
    inbox, read_each = rig.ref("inbox"), rig.mail.read_each

    async def meanwhile(*arguments: Any) -> Any:
        # As the look at another folder does, that runs beside this one.
        rig.mail.known.stray(MessageRef(there), inbox)
        return await read_each(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(rig.mail, "read_each", meanwhile)
        fake.mark(marked, is_read=True)
        await follower.look(inbox)

    assert follower.folders[inbox].removed == []
    assert rig.mail.known.strays(inbox) == [there]
    await follower.look(inbox)
    assert rig.mail.known.strays(inbox) == []
    assert follower.messages() == truth(fake, follower)


async def test_a_page_that_was_not_applied_is_told_again(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    fake.quirks.delta_loses_arrivals = True
    message, inbox, archive = fake.ids_in("inbox")[1], rig.ref("inbox"), rig.ref("archive")
    fake.move(message, "archive")
    await follower.look(inbox)

    pages = changes.changes(rig.mail, archive, follower.folders[archive].cursor)
    page = await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]

    assert [state.ref for state in page.changed] == [message]
    assert await follower.look(archive) == [page]


@pytest.mark.parametrize(("status", "code"), [(410, ""), (404, "syncStateNotFound"), (400, "SyncStateNotFound")])
async def test_a_position_that_graph_has_forgotten_has_expired(
    fake: FakeGraph, rig: Rig, follower: Follower, status: int, code: str
) -> None:
    ref = rig.ref("inbox")
    if code:
        fake.fail_next("messages.delta", status=status, code=code)
    else:
        fake.expire_delta_tokens("inbox", status)
    fake.deliver(mail(5))
    before = set(follower.folders[ref].states)

    await follower.look(ref)

    assert follower.folders[ref].relisted == 1
    assert follower.folders[ref].removed == []
    assert before < set(follower.folders[ref].states)
    assert follower.messages() == truth(fake, follower)


async def test_a_page_that_a_broken_message_spoils_does_not_spoil_the_position(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("inbox")
    fake.deliver(mail(5))
    fake.fail_next("messages.delta", status=500, code="ErrorContentConversionFailed")

    with pytest.raises(Unavailable):
        await follower.look(ref)
    await follower.look(ref)

    assert follower.folders[ref].relisted == 0
    assert follower.messages() == truth(fake, follower)


async def test_a_cursor_of_something_else_has_expired(rig: Rig, follower: Follower) -> None:
    for cursor in ("", "17", follower.folders[rig.ref("inbox")].cursor.replace("/me", "/users/x")):
        with pytest.raises(CursorExpired):
            [page async for page in changes.changes(rig.mail, rig.ref("inbox"), Cursor(cursor))]


async def test_a_folder_that_is_gone_is_not_found(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists"))
    cursor = await listing.position(rig.mail, ref)
    fake.delete_folder("Lists")

    with pytest.raises(NotFound):
        [page async for page in changes.changes(rig.mail, ref, cursor)]
    with pytest.raises(NotFound):
        [page async for page in changes.changes(rig.mail, ref, cursor)]


async def test_a_message_that_cannot_be_read_does_not_hold_up_the_others(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("inbox")
    first, second, _ = fake.ids_in("inbox")
    fake.mark(first, is_read=True)
    fake.mark(second, is_read=True)
    cursor = follower.folders[ref].cursor
    # The stand-in answers the requests of a batch in their order.
    fake.fail_next("messages.get", times=1, status=400, code="ErrorItemCorrupt")

    [page] = await follower.look(ref)

    assert len(page.changed) == 1
    assert page.removed == ()
    assert page.cursor == cursor
    await follower.look(ref)
    assert follower.messages() == truth(fake, follower)


@pytest.mark.parametrize("error", [Unavailable, RateLimited])
async def test_a_failure_of_all_of_them_is_one_of_the_look(
    fake: FakeGraph, rig: Rig, follower: Follower, error: type[Exception]
) -> None:
    for message in fake.ids_in("inbox"):
        fake.mark(message, is_read=True)
    fake.fail_next("messages.get", times=100, status=500 if error is Unavailable else 429)

    with pytest.raises(error):
        await follower.look(rig.ref("inbox"))
    fake.faults.clear()
    await follower.look(rig.ref("inbox"))
    assert follower.messages() == truth(fake, follower)


async def test_the_position_is_saved_now_and_then_though_nothing_happens(rig: Rig, follower: Follower) -> None:
    ref = rig.ref("inbox")
    assert await follower.look(ref) == []
    mark = decode_cursor(follower.folders[ref].cursor, rig.client.root)
    long_ago = msgspec.structs.replace(mark, saved_at=mark.saved_at - SAVE_INTERVAL_S - 1)
    follower.folders[ref].cursor = long_ago.encode()

    [page] = await follower.look(ref)

    assert page.cursor is not None
    assert (page.changed, page.removed, page.present) == ((), (), None)
    assert await follower.look(ref) == []


async def test_many_changes_are_read_as_a_list(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    seeds.seed_folders(fake, {"archive": 400})
    await follower.relist(rig.ref("archive"))
    for message in fake.ids_in("archive"):
        fake.mark(message, categories=["Blue"])
    fake.stats.clear()

    pages = await follower.look(rig.ref("archive"))

    assert pages[-1].present == frozenset(fake.ids_in("archive"))
    assert fake.stats.total_requests + fake.stats.batch_items < 10
    assert follower.messages() == truth(fake, follower)


async def test_a_search_folder_is_compared(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    search = MailboxRef(fake.create_search_folder("Unread Mail"))
    await follower.poll()
    assert set(follower.folders[search].states) == set(fake.ids_in("inbox"))
    await follower.look(search)

    assert await follower.look(search) == []
    read = fake.ids_in("inbox")[0]
    fake.mark(read, is_read=True)
    await follower.poll()

    assert read not in follower.folders[search].states
    assert len(follower.folders[search].states) == 2


async def test_an_idle_poll_of_fifty_folders_is_a_tenth_of_the_quota_at_most(
    fake: FakeGraph, rig: Rig, clock: JumpingClock
) -> None:
    for number in range(40):
        fake.create_folder(f"Lists/{number // 10}/list {number}")
    follower = Follower(rig.mail)
    await follower.begin()
    assert len(follower.folders) >= 50
    fake.stats.clear()

    for _ in range(10):
        await clock.sleep(60.0)
        await follower.poll()

    single = fake.stats.total_requests - fake.stats.requests["$batch"]
    assert single + fake.stats.batch_items + fake.stats.requests["$batch"] <= 1000


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_and_however_it_is_told_the_end_is_the_truth(
    fake: FakeGraph, make_rig: MakeRig, seed: int
) -> None:
    chance = random.Random(seed)
    for quirk in QUIRKS:
        fake.quirks.set(quirk, chance.random() < 0.5)
    fake.quirks.delta_loses_arrivals = seed % 3 == 1
    fake.quirks.deleted_are_found = seed % 2 == 1
    fake.quirks.delta_lags = seed % 4 == 3
    places = ["inbox", "archive", "deleteditems", "Lists"]
    fake.create_folder("Lists")
    for number in range(12):
        fake.deliver(mail(number), chance.choice(places))
    follower = Follower(make_rig().mail)
    await follower.begin()
    for step in range(12):
        for _ in range(chance.randrange(6)):
            happen(fake, chance, places)
        if chance.random() < 0.2:
            follower.mail = make_rig().mail
        if chance.random() < 0.1:
            fake.expire_delta_tokens(chance.choice(places))
        if chance.random() < 0.6:
            await follower.poll()
        else:
            await follower.look(MailboxRef(fake.folder_id(places[step % 4])))
    await follower.poll(5)

    assert follower.messages() == truth(fake, follower)


@pytest.mark.parametrize("seed", range(8))
async def test_what_happens_while_folders_are_read_is_told_in_the_end(
    fake: FakeGraph, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(f"while {seed}")
    for quirk in QUIRKS:
        fake.quirks.set(quirk, chance.random() < 0.5)
    places = ["inbox", "archive", "deleteditems", "Lists"]
    fake.create_folder("Lists")
    for number in range(30):
        fake.deliver(mail(number), chance.choice(places))
    follower = Follower(make_rig().mail)
    follower.mail.page = 5
    turn = fake.turn

    async def eventful_turn() -> None:
        if chance.random() < 0.3:
            happen(fake, chance, places)
        await turn()

    with monkeypatch.context() as patch:
        patch.setattr(fake, "turn", eventful_turn)
        await follower.begin()
        for step in range(6):
            await follower.poll()
            if step == 3:
                await follower.relist(MailboxRef(fake.folder_id(chance.choice(places))))
    await follower.poll(5)

    assert follower.messages() == truth(fake, follower)


@pytest.mark.parametrize("seed", range(8))
async def test_our_own_writes_are_told_like_those_of_others(fake: FakeGraph, make_rig: MakeRig, seed: int) -> None:
    chance = random.Random(f"own {seed}")
    fake.quirks.delta_loses_arrivals = seed % 2 == 1
    places = ["inbox", "archive", "deleteditems", "Lists"]
    fake.create_folder("Lists")
    for number in range(12):
        fake.deliver(mail(number), chance.choice(places))
    follower = Follower(make_rig().mail)
    await follower.begin()
    for _ in range(10):
        for _ in range(chance.randrange(4)):
            await write(fake, follower.mail, chance, places)
            happen(fake, chance, places)
        await follower.poll()
    await follower.poll(5)

    assert follower.messages() == truth(fake, follower)


async def write(fake: FakeGraph, box: Mail, chance: random.Random, places: list[str]) -> None:
    """Change the mail through the connector."""
    source, target = (MailboxRef(fake.folder_id(place)) for place in chance.sample(places, 2))
    refs = [MessageRef(each) for each in fake.ids_in(source)[:2]]
    match chance.randrange(5):
        case 0:
            await writing.move(box, source, refs, target)
        case 1:
            await writing.copy(box, source, refs, target)
        case 2:
            await expunging.expunge(box, source, refs[:1])
        case 3:
            await appending.append(box, target, BytesContent(mail(chance.randrange(10**6))), frozenset(), None)
        case _:
            await writing.store_flags(box, source, refs, frozenset({"\\Answered", "Blue"}), frozenset({"\\Seen"}))


def happen(fake: FakeGraph, chance: random.Random, places: list[str]) -> None:
    """Let something happen to the mail."""
    messages = [each for place in places for each in fake.ids_in(place)]
    message, place = chance.choice(messages), chance.choice(places)
    match chance.randrange(7):
        case 0:
            fake.deliver(mail(chance.randrange(1000)), place)
        case 1 if len(messages) > 5:
            chance.choice([fake.delete, fake.purge])(message)
        case 2 | 3:
            fake.move(message, place)
        case 4:
            fake.move_there_and_back(message, place)
        case 5:
            fake.copy(message, place)
        case _:
            fake.mark(message, is_read=chance.random() < 0.5, verb=102 if chance.random() < 0.5 else None)
