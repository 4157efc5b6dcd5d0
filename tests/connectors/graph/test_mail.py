"""What the parts of the connector share."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import Denied, NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageRef
from connectors.graph import reading
from connectors.graph.folders import WellKnown
from connectors.graph.mail import MAX_TRACED, PLACES_TTL_S, is_gone
from tests.connectors.graph.follower import Follower, truth
from tests.connectors.graph.writing_rig import MakeRig, Rig, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.records import Message
from tests.fakes.graph.views import GETTERS, View


async def test_the_tree_takes_a_request_for_each_level(fake: FakeGraph, rig: Rig) -> None:
    fake.create_folder("A/B/C")
    fake.create_folder("D/E")
    await rig.mail.read_places()
    fake.stats.clear()

    tree = await rig.mail.read_tree()

    assert {("A", "B", "C"), ("D", "E")} <= {info.path for info in tree.infos}
    assert fake.stats.total_requests == 3
    assert fake.stats.batched == {"child-folders.list": 3}


async def test_well_known_folders_are_asked_for_once_in_an_hour(fake: FakeGraph, rig: Rig, clock: JumpingClock) -> None:
    await rig.mail.read_tree()
    assert fake.stats.batched["folders.get"] == len(WellKnown)
    await rig.mail.read_tree()
    assert fake.stats.batched["folders.get"] == len(WellKnown)

    await clock.sleep(PLACES_TTL_S - 60)
    await rig.mail.read_tree()
    assert fake.stats.batched["folders.get"] == len(WellKnown)


async def test_a_folder_that_went_has_them_asked_for_again(fake: FakeGraph, rig: Rig) -> None:
    fake.create_folder("Lists")
    await rig.mail.read_tree()
    fake.delete_folder("Lists")
    fake.stats.clear()

    tree = await rig.mail.read_tree()

    assert fake.stats.batched["folders.get"] == len(WellKnown)
    assert tree.at(("Lists",)) is None


async def test_more_folders_than_a_page_holds_are_all_told(fake: FakeGraph, rig: Rig) -> None:
    for number in range(300):
        fake.create_folder(f"Top {number}")
        fake.create_folder(f"Lists/below {number}")

    tree = await rig.mail.read_tree()

    assert len([info for info in tree.infos if info.path[0].startswith("Top")]) == 300
    assert len([info for info in tree.infos if info.path[0] == "Lists"]) == 301


async def test_hidden_folders_are_shown_by_setting(fake: FakeGraph, make_rig: MakeRig) -> None:
    fake.create_folder("Secret", is_hidden=True)

    assert (await make_rig().mail.read_tree()).at(("Secret",)) is None
    assert (await make_rig(hidden=True).mail.read_tree()).at(("Secret",)) is not None


async def test_folders_of_contacts_are_no_mailboxes(fake: FakeGraph, rig: Rig) -> None:
    fake.create_folder("People", folder_class="IPF.Contact")

    assert (await rig.mail.read_tree()).at(("People",)) is None


async def test_a_tree_that_cannot_be_read_whole_is_none(fake: FakeGraph, rig: Rig) -> None:
    fake.create_folder("A/B")
    fake.fail_next("child-folders.list", times=20, status=500)

    with pytest.raises(Unavailable):
        await rig.mail.read_tree()
    fake.faults.clear()
    assert (await rig.mail.read_tree()).at(("A", "B")) is not None


async def test_a_well_known_folder_that_cannot_be_seen_is_none_but_inbox_must(fake: FakeGraph, rig: Rig) -> None:
    names = list(WellKnown)
    fake.fail_next("folders.get", times=1, skip=names.index(WellKnown.ARCHIVE), status=403)
    tree = await rig.mail.read_tree()
    assert WellKnown.ARCHIVE not in tree.places

    fake.fail_next("folders.get", times=1, skip=names.index(WellKnown.INBOX), status=403)
    with pytest.raises(Denied):
        await rig.mail.read_places()


async def test_a_folder_is_looked_for_before_it_is_said_not_to_be_there(fake: FakeGraph, rig: Rig) -> None:
    await rig.mail.read_tree()
    ref = MailboxRef(fake.create_folder("New"))

    assert (await rig.mail.require(ref)).info.path == ("New",)
    with pytest.raises(NotFound):
        await rig.mail.require(MailboxRef("nonsense"))


async def test_places_are_known_by_id(rig: Rig) -> None:
    assert await rig.mail.place(WellKnown.DRAFTS) == rig.ref("drafts")
    assert await rig.mail.is_place(rig.ref("junkemail"), WellKnown.TRASH, WellKnown.JUNK)
    assert not await rig.mail.is_place(rig.ref("inbox"), WellKnown.TRASH, WellKnown.JUNK)


async def test_messages_are_asked_for_twenty_at_a_time(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(41)]
    fake.purge(refs[0])

    found = await rig.mail.read_messages([*refs, refs[1]])

    assert set(found) == set(refs[1:])
    assert fake.stats.requests == {"$batch": 3}
    assert fake.stats.batch_items == 41
    assert await rig.mail.read_messages([]) == {}


async def test_one_that_fails_is_told_apart_from_one_that_is_gone(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(3)]
    fake.purge(refs[0])
    fake.fail_next("messages.get", times=1, skip=1, status=403)

    found, failed = await rig.mail.read_each(refs)

    assert len(found) == 1
    assert [type(error).__name__ for error in failed.values()] == ["RefusedDenied"]
    assert not is_gone(next(iter(failed.values())))


async def test_messages_may_call_their_folder_by_another_id(
    fake: FakeGraph, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_form(view: View, message: Message) -> str:
        return view.mailbox.ids.folder(message.folder.number).replace("AAMk", "AQMk")

    monkeypatch.setitem(GETTERS, "parentFolderId", other_form)
    refs = [MessageRef(fake.deliver(mail(number), place)) for number, place in enumerate(["inbox", "inbox", "archive"])]
    follower = Follower(rig.mail)
    await follower.begin()
    fake.mark(refs[0], is_read=True)
    fake.move(refs[1], "archive")

    await follower.poll(2)

    assert follower.messages() == truth(fake, follower)
    states = await reading.states(rig.mail, rig.ref("archive"), refs)
    assert {state.ref for state in states} == set(refs[1:])


async def test_only_so_many_messages_are_looked_for_elsewhere(fake: FakeGraph, rig: Rig) -> None:
    inbox = rig.ref("inbox")
    await rig.mail.read_tree()
    rig.mail.known.listed([MessageRef(fake.deliver(mail(1), "archive")) for _ in range(MAX_TRACED + 20)], inbox)
    fake.stats.clear()

    await rig.mail.trace(inbox, [])

    assert fake.stats.batch_items == MAX_TRACED
    assert len(rig.mail.known.strays(rig.ref("archive"))) == MAX_TRACED


async def test_what_is_told_in_two_folders_is_looked_at_in_both(fake: FakeGraph, rig: Rig) -> None:
    inbox, archive, ref = rig.ref("inbox"), rig.ref("archive"), MessageRef("m")
    rig.mail.learn_whole(inbox, [ref])
    rig.mail.learn_whole(archive, [ref])

    assert rig.mail.known.strays(inbox) == [ref]
    assert rig.mail.known.strays(archive) == []


async def test_cancelling_a_reading_of_the_tree_leaves_it_usable(fake: FakeGraph, rig: Rig) -> None:
    async with fake.held():
        task = asyncio.create_task(rig.mail.read_tree())
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (await rig.mail.read_tree()).at(("INBOX",)) is not None
