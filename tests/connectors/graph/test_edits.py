"""Drafts that were edited."""

from __future__ import annotations

import pytest

from connectors.api.errors import Unavailable
from connectors.api.types import DRAFT, SEEN, MailboxRef, MessageRef
from connectors.graph.cursors import decode_cursor
from connectors.graph.edits import MOST_DRAFTS
from tests.connectors.graph.follower import Follower, truth
from tests.connectors.graph.writing_rig import MakeRig, Rig, mail
from tests.fakes.graph.content import Content
from tests.fakes.graph.fake import FakeGraph


@pytest.fixture
async def follower(rig: Rig) -> Follower:
    follower = Follower(rig.mail)
    await follower.begin()
    return follower


async def test_an_edited_draft_is_changed_in_content_and_a_marked_one_is_not(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("drafts")
    edited = fake.deliver(mail(1), "drafts", is_draft=True)
    marked = fake.deliver(mail(2), "drafts", is_draft=True)
    await follower.poll()
    fake.mark(marked, categories=["Blue"], is_read=True)
    message = fake.message(edited)
    fake.mailbox.change(message, ["body"], content=Content.of_mime(mail(1).replace(b"Body 1", b"Body one")))

    await follower.poll()

    assert follower.folders[ref].edited == [edited]
    await follower.poll()
    assert follower.folders[ref].edited == [edited]


async def test_an_edit_is_seen_after_a_restart_and_while_the_folder_is_read_whole(
    fake: FakeGraph, make_rig: MakeRig, follower: Follower
) -> None:
    drafts = MailboxRef(fake.folder_id("drafts"))
    first = fake.deliver(mail(1), "drafts", is_draft=True)
    second = fake.deliver(mail(2), "drafts", is_draft=True)
    await follower.relist(drafts)
    follower.mail = make_rig().mail
    edit(fake, first)
    await follower.look(drafts)
    edit(fake, second)
    follower.mail.known.make_due(drafts)
    [page] = await follower.look(drafts)

    assert page.present is not None
    assert follower.folders[drafts].edited == [first, second]


def edit(fake: FakeGraph, message_id: str) -> None:
    """Write something else into a draft."""
    fake.mailbox.change(fake.message(message_id), ["body"], content=Content.of_mime(mail(99)))


@pytest.mark.parametrize("is_read_whole", [False, True])
async def test_a_draft_that_is_edited_right_after_it_was_made_here_is_changed_in_content(
    fake: FakeGraph, rig: Rig, follower: Follower, is_read_whole: bool
) -> None:
    drafts = rig.ref("drafts")
    edited = (await rig.append("drafts", mail(1), frozenset({DRAFT}))).ref
    left = (await rig.append("drafts", mail(2), frozenset({DRAFT}))).ref
    edit(fake, edited)
    if is_read_whole:
        rig.mail.known.make_due(drafts)

    await follower.look(drafts)

    assert follower.folders[drafts].edited == [edited]
    assert left in follower.folders[drafts].states
    await follower.poll(2)
    assert follower.folders[drafts].edited == [edited]


async def test_a_draft_is_made_though_it_cannot_be_read_afterwards(fake: FakeGraph, rig: Rig) -> None:
    await rig.mail.read_tree()
    fake.fail_next("$batch", times=9, status=400)
    assert (await rig.append("drafts", mail(1), frozenset({DRAFT}))).ref in fake.ids_in("drafts")


async def test_a_draft_that_was_sent_is_no_edited_draft(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    draft = fake.deliver(mail(1), "drafts", is_draft=True)
    await follower.poll()
    fake.mailbox.change(fake.message(draft), ["isDraft"], is_draft=False)
    fake.move(draft, "sentitems")

    await follower.poll(2)

    assert follower.messages() == truth(fake, follower)
    assert decode_cursor(follower.folders[rig.ref("drafts")].cursor, rig.client.root).drafts == {}
    fake.faults.clear()


async def test_a_draft_outside_of_drafts_is_compared_too(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    ref = rig.ref("archive")
    draft = fake.deliver(mail(1), "archive", is_draft=True)
    await follower.relist(ref)
    edit(fake, draft)

    await follower.look(ref)

    assert follower.folders[ref].edited == [draft]


@pytest.mark.parametrize("fault", [(400, "ErrorInvalidRequest"), (500, "ErrorContentConversionFailed")])
async def test_drafts_that_cannot_be_compared_do_not_keep_the_folder_from_being_read(
    fake: FakeGraph, rig: Rig, fault: tuple[int, str]
) -> None:
    draft = fake.deliver(mail(1), "drafts", is_draft=True)
    await rig.mail.read_tree()
    fake.fail_next("folder-messages.list", times=9, skip=1, status=fault[0], code=fault[1])
    follower = Follower(rig.mail)

    await follower.relist(rig.ref("drafts"))

    assert list(follower.folders[rig.ref("drafts")].states) == [draft]
    assert decode_cursor(follower.folders[rig.ref("drafts")].cursor, rig.client.root).drafts == {}


async def test_of_very_many_drafts_some_are_compared(fake: FakeGraph, rig: Rig, follower: Follower) -> None:
    ref = rig.ref("drafts")
    for number in range(MOST_DRAFTS + 5):
        fake.deliver(mail(number), "drafts", is_draft=True)
    await follower.relist(ref)
    edited = fake.ids_in("drafts")[-1]
    edit(fake, edited)

    await follower.look(ref)

    assert follower.folders[ref].edited == [edited]
    assert len(decode_cursor(follower.folders[ref].cursor, rig.client.root).drafts) == MOST_DRAFTS


async def test_an_edit_is_told_late_where_the_draft_could_not_be_compared(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("drafts")
    draft = fake.deliver(mail(1), "drafts", is_draft=True)
    await follower.poll()
    edit(fake, draft)
    fake.fail_next("messages.get", times=99, skip=1, status=504)
    await follower.look(ref)
    assert follower.folders[ref].edited == []
    fake.faults.clear()

    await follower.look(ref)

    assert follower.folders[ref].edited == [draft]
    assert await follower.look(ref) == []


async def test_an_edit_is_told_late_where_the_whole_folder_could_not_be_compared(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("drafts")
    draft = fake.deliver(mail(1), "drafts", is_draft=True)
    await follower.relist(ref)
    edit(fake, draft)
    rig.mail.known.make_due(ref)
    fake.fail_next("folder-messages.list", times=99, skip=1, status=504)
    with pytest.raises(Unavailable):
        await follower.look(ref)
    fake.faults.clear()

    await follower.look(ref)

    assert follower.folders[ref].edited == [draft]


async def test_an_edit_is_told_once_though_something_else_cannot_be_read(
    fake: FakeGraph, rig: Rig, follower: Follower
) -> None:
    ref = rig.ref("drafts")
    fake.quirks.delta_disorder = False
    broken, draft = (fake.deliver(mail(number), "drafts", is_draft=True) for number in range(2))
    await follower.poll()
    fake.mark(broken, is_read=True)
    edit(fake, draft)

    for _ in range(3):
        fake.fail_next("messages.get", times=1, status=400, code="ErrorItemCorrupt")
        await follower.look(ref)
        assert follower.folders[ref].edited == [draft]
    await follower.look(ref)
    assert follower.folders[ref].edited == [draft]
    assert follower.folders[ref].states[MessageRef(broken)] == frozenset({DRAFT, SEEN})
