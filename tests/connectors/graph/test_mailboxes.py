"""Making, renaming and deleting folders."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.api.errors import AlreadyExists, NotFound, OutcomeUnknown, Unsupported
from connectors.api.types import MailboxRef, Role
from connectors.graph import mailboxes
from connectors.graph.folders import Path
from connectors.graph.settings import ExpungeTo
from tests.connectors.graph.writing_rig import MakeRig, Rig, mail
from tests.fakes.graph.fake import FakeGraph


async def paths(rig: Rig) -> set[Path]:
    return {info.path for info in (await rig.mail.read_tree()).infos}


async def test_a_folder_is_made_at_the_top_and_below_others(rig: Rig) -> None:
    top = await mailboxes.create_mailbox(rig.mail, ("Lists",), None)
    below = await mailboxes.create_mailbox(rig.mail, ("INBOX", "Bills"), None)

    assert top.path == ("Lists",)
    assert below.path == ("INBOX", "Bills")
    assert {("Lists",), ("INBOX", "Bills")} <= await paths(rig)


async def test_missing_parents_are_made_and_names_may_hold_a_slash(rig: Rig) -> None:
    made = await mailboxes.create_mailbox(rig.mail, ("A", "In/Out", "Deep"), None)

    assert made.path == ("A", "In/Out", "Deep")
    assert {("A",), ("A", "In/Out")} <= await paths(rig)


@pytest.mark.parametrize("path", [("Lists",), ("lists",), ("INBOX",), ("Deleted Items",)])
async def test_what_is_there_is_not_made_again(fake: FakeGraph, rig: Rig, path: Path) -> None:
    fake.create_folder("Lists")

    with pytest.raises(AlreadyExists):
        await mailboxes.create_mailbox(rig.mail, path, None)


@pytest.mark.parametrize("path", [(), ("",), (" ",), ("a\r\nb",), (" a",), ("inbox", "a"), ("x" * 256,)])
async def test_a_name_that_outlook_does_not_take_is_not_made(rig: Rig, path: Path) -> None:
    with pytest.raises(Unsupported):
        await mailboxes.create_mailbox(rig.mail, path, None)


@pytest.mark.parametrize("name", ["می\u200cخواهم", "\U0001f468\u200d\U0001f469", "Nr.\u00a05"])
async def test_joiners_and_blanks_of_other_scripts_are_part_of_a_name(rig: Rig, name: str) -> None:
    made = await mailboxes.create_mailbox(rig.mail, (name,), None)

    assert made.path == (name,)


@pytest.mark.parametrize("name", ["a\u2028b", "a\ud800", "a\x85b", "\u200d"])
async def test_what_cannot_be_read_in_a_name_is_not_made(rig: Rig, name: str) -> None:
    with pytest.raises(Unsupported):
        await mailboxes.create_mailbox(rig.mail, (name,), None)


async def test_special_mailboxes_are_fixed(rig: Rig) -> None:
    with pytest.raises(Unsupported):
        await mailboxes.create_mailbox(rig.mail, ("Old",), Role.ARCHIVE)


async def test_nothing_can_be_made_below_a_search_folder(fake: FakeGraph, rig: Rig) -> None:
    fake.create_search_folder("Unread")

    with pytest.raises(Unsupported):
        await mailboxes.create_mailbox(rig.mail, ("Unread", "x"), None)


async def test_a_lost_answer_is_settled_by_looking(fake: FakeGraph, rig: Rig) -> None:
    fake.fail_next("folders.create", is_cut=True, is_after_work=True)
    made = await mailboxes.create_mailbox(rig.mail, ("Lists",), None)
    assert made.path == ("Lists",)

    fake.fail_next("folders.create", is_cut=True)
    with pytest.raises(OutcomeUnknown):
        await mailboxes.create_mailbox(rig.mail, ("Other",), None)
    assert ("Other",) not in await paths(rig)


async def test_a_folder_is_renamed_with_those_below_it_and_keeps_its_ref(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists"))
    fake.create_folder("Lists/Python")

    renamed = await mailboxes.rename_mailbox(rig.mail, ref, ("Post",))

    assert (renamed.ref, renamed.path) == (ref, ("Post",))
    assert ("Post", "Python") in await paths(rig)


async def test_a_folder_is_moved_and_renamed_at_once_and_parents_are_made(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists/Python"))

    moved = await mailboxes.rename_mailbox(rig.mail, ref, ("New", "Snakes"))

    assert (moved.ref, moved.path) == (ref, ("New", "Snakes"))
    assert (await mailboxes.rename_mailbox(rig.mail, ref, ("Python",))).path == ("Python",)
    assert (await mailboxes.rename_mailbox(rig.mail, ref, ("Python",))).path == ("Python",)


async def test_a_sibling_of_the_new_name_is_not_in_the_way_of_a_move(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("A/x"))
    fake.create_folder("A/y")
    fake.create_folder("B")

    assert (await mailboxes.rename_mailbox(rig.mail, ref, ("B", "y"))).path == ("B", "y")


async def test_if_the_second_step_fails_the_first_is_undone(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("A/x"))
    fake.create_folder("B")
    fake.fail_next("folders.move", status=403)

    with pytest.raises(Exception, match="403"):
        await mailboxes.rename_mailbox(rig.mail, ref, ("B", "y"))
    assert ("A", "x") in await paths(rig)


@pytest.mark.parametrize(
    "refusal",
    [{"status": 409, "code": "ErrorFolderExists"}, {"status": 400, "code": "ErrorMoveCopyFailed"}],
)
@pytest.mark.parametrize("step", ["folders.patch", "folders.move"])
async def test_a_repeat_that_is_refused_is_settled_by_looking(
    fake: FakeGraph, rig: Rig, step: str, refusal: dict[str, Any]
) -> None:
    ref = MailboxRef(fake.create_folder("A/x"))
    fake.create_folder("B")
    fake.fail_next(step, is_cut=True, is_after_work=True)
    fake.fail_next(step, **refusal)

    assert (await mailboxes.rename_mailbox(rig.mail, ref, ("B", "y"))).path == ("B", "y")


@pytest.mark.parametrize("step", ["folders.patch", "folders.move"])
async def test_a_step_that_is_refused_and_not_done_is_not(fake: FakeGraph, rig: Rig, step: str) -> None:
    ref = MailboxRef(fake.create_folder("A/x"))
    fake.create_folder("B")
    fake.fail_next(step, status=409, code="ErrorFolderExists")

    with pytest.raises(AlreadyExists):
        await mailboxes.rename_mailbox(rig.mail, ref, ("B", "y"))
    assert ("A", "x") in await paths(rig)


async def test_case_can_be_changed(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("lists"))

    assert (await mailboxes.rename_mailbox(rig.mail, ref, ("Lists",))).path == ("Lists",)


async def test_what_cannot_be_renamed(fake: FakeGraph, rig: Rig) -> None:
    ref, search = MailboxRef(fake.create_folder("Lists")), MailboxRef(fake.create_search_folder("Unread"))
    for name in ("inbox", "drafts", "sentitems", "outbox"):
        with pytest.raises(Unsupported):
            await mailboxes.rename_mailbox(rig.mail, rig.ref(name), ("New",))
    with pytest.raises(Unsupported):
        await mailboxes.rename_mailbox(rig.mail, search, ("New",))
    with pytest.raises(Unsupported):
        await mailboxes.rename_mailbox(rig.mail, ref, ("Lists", "below"))
    with pytest.raises(AlreadyExists):
        await mailboxes.rename_mailbox(rig.mail, ref, ("Drafts",))
    with pytest.raises(NotFound):
        await mailboxes.rename_mailbox(rig.mail, MailboxRef("gone"), ("New",))
    assert ("Lists",) in await paths(rig)


async def test_a_deleted_folder_goes_to_deleted_items_and_from_there_for_good(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists"))
    message = fake.deliver(mail(1), "Lists")

    await mailboxes.delete_mailbox(rig.mail, ref)
    assert ("Deleted Items", "Lists") in await paths(rig)
    assert fake.ids_in(ref) == [message]

    await mailboxes.delete_mailbox(rig.mail, ref)
    assert ref not in (await rig.mail.read_tree()).folders


async def test_by_setting_it_goes_for_good_at_once(fake: FakeGraph, make_rig: MakeRig) -> None:
    rig, ref = make_rig(expunge=ExpungeTo.PERMANENT), MailboxRef(fake.create_folder("Lists"))

    await mailboxes.delete_mailbox(rig.mail, ref)

    assert ref not in (await rig.mail.read_tree()).folders


async def test_one_of_that_name_was_deleted_before(fake: FakeGraph, rig: Rig) -> None:
    for _ in range(3):
        await mailboxes.delete_mailbox(rig.mail, MailboxRef(fake.create_folder("Lists")))

    deleted = {path[-1] for path in await paths(rig) if path[0] == "Deleted Items" and len(path) == 2}
    assert len(deleted) == 3
    assert ("Lists",) not in await paths(rig)


async def test_what_cannot_be_deleted(fake: FakeGraph, rig: Rig) -> None:
    parent = MailboxRef(fake.create_folder("Lists"))
    fake.create_folder("Lists/Python")
    for name in ("inbox", "deleteditems", "archive"):
        with pytest.raises(Unsupported):
            await mailboxes.delete_mailbox(rig.mail, rig.ref(name))
    with pytest.raises(Unsupported, match="below"):
        await mailboxes.delete_mailbox(rig.mail, parent)
    with pytest.raises(NotFound):
        await mailboxes.delete_mailbox(rig.mail, MailboxRef("gone"))


async def test_a_delete_whose_answer_is_lost_is_not_done_twice(fake: FakeGraph, rig: Rig) -> None:
    ref = MailboxRef(fake.create_folder("Lists"))
    fake.fail_next("folders.delete", is_cut=True, is_after_work=True)

    await mailboxes.delete_mailbox(rig.mail, ref)
    assert ("Deleted Items", "Lists") in await paths(rig)

    other = MailboxRef(fake.create_folder("Other"))
    fake.fail_next("folders.delete", is_cut=True)
    with pytest.raises(OutcomeUnknown):
        await mailboxes.delete_mailbox(rig.mail, other)
