"""EXPUNGE: what each setting does in which folder."""

from __future__ import annotations

import pytest

from connectors.api.errors import Denied, NotFound
from connectors.api.types import BatchResult, MailboxRef, MessageRef
from connectors.graph.expunging import expunge
from connectors.graph.settings import ExpungeTo
from tests.connectors.graph.writing_rig import LOST_AFTER_WORK, MakeRig, Rig
from tests.fakes.graph.faults import Fault


async def gone(rig: Rig, name: str, refs: list[MessageRef]) -> BatchResult:
    return await expunge(rig.mail, rig.ref(name), refs)


@pytest.mark.parametrize(
    ("setting", "name", "in_trash", "recoverable"),
    [
        (ExpungeTo.TRASH, "inbox", 1, 0),
        (ExpungeTo.TRASH, "archive", 1, 0),
        (ExpungeTo.TRASH, "drafts", 1, 0),
        (ExpungeTo.TRASH, "deleteditems", 0, 1),
        (ExpungeTo.TRASH, "junkemail", 0, 1),
        (ExpungeTo.DELETE, "inbox", 0, 1),
        (ExpungeTo.DELETE, "deleteditems", 0, 1),
        (ExpungeTo.PERMANENT, "inbox", 0, 0),
        (ExpungeTo.PERMANENT, "deleteditems", 0, 0),
    ],
)
async def test_where_an_expunged_message_goes(
    make_rig: MakeRig, setting: ExpungeTo, name: str, in_trash: int, recoverable: int
) -> None:
    rig = make_rig(expunge=setting)
    (ref,) = await rig.fill(name, 1)
    result = await gone(rig, name, [ref])
    assert result == BatchResult({ref: None})
    assert name == "deleteditems" or rig.inside(name) == []
    assert len(rig.inside("deleteditems")) == in_trash
    assert len(rig.box.in_folder(rig.box.deletions)) == recoverable


async def test_below_deleted_items_it_is_deleted(rig: Rig) -> None:
    rig.box.create_folder("Old", rig.folder("deleteditems"))
    folder = rig.folder("deleteditems").children["old"]
    ref = MailboxRef(rig.box.ids.folder(folder.number))
    (message,) = rig.seed("inbox", 1)
    rig.box.move(rig.message(message), folder)
    assert await expunge(rig.mail, ref, [message]) == BatchResult({message: None})
    assert rig.inside("deleteditems") == []


async def test_many_cost_two_requests_for_twenty(rig: Rig) -> None:
    refs = rig.seed("inbox", 200)
    await rig.mail.tree()
    rig.fake.stats.clear()
    result = await gone(rig, "inbox", refs)
    assert set(result.done) == set(refs)
    assert dict(rig.fake.stats.requests) == {"$batch": 20}
    assert rig.inside("inbox") == []


@pytest.mark.parametrize("setting", list(ExpungeTo))
async def test_what_somebody_else_moved_is_missing_and_stays(make_rig: MakeRig, setting: ExpungeTo) -> None:
    rig = make_rig(expunge=setting)
    refs = await rig.fill("inbox", 2)
    rig.box.move(rig.message(refs[0]), rig.folder("archive"))
    result = await gone(rig, "inbox", refs)
    assert (result.missing, set(result.done)) == (frozenset({refs[0]}), {refs[1]})
    assert len(rig.inside("archive")) == 1


@pytest.mark.parametrize("setting", list(ExpungeTo))
async def test_expunged_twice_is_missing(make_rig: MakeRig, setting: ExpungeTo) -> None:
    rig = make_rig(expunge=setting)
    refs = await rig.fill("inbox", 1)
    await gone(rig, "inbox", refs)
    result = await gone(rig, "inbox", refs)
    assert result == BatchResult(missing=frozenset(refs))


async def test_a_deleted_message_that_is_still_told_is_missing(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.quirks.deleted_are_found = True
    rig.box.delete(rig.message(ref))
    assert (await gone(rig, "inbox", [ref])).missing == frozenset({ref})


async def test_what_cannot_be_deleted_any_more_is_missing(make_rig: MakeRig) -> None:
    rig = make_rig(expunge=ExpungeTo.DELETE)
    refs = await rig.fill("inbox", 2)
    rig.fake.faults.order("messages.delete", Fault(status=403, code="ErrorCannotDeleteObject"))
    result = await gone(rig, "inbox", refs)
    assert len(result.missing) == len(result.done) == 1
    assert not result.failed


async def test_a_refusal_fails_its_message_only(make_rig: MakeRig) -> None:
    rig = make_rig(expunge=ExpungeTo.DELETE)
    refs = await rig.fill("inbox", 2)
    rig.fake.faults.order("messages.delete", Fault(status=403))
    result = await gone(rig, "inbox", refs)
    assert len(result.failed) == len(result.done) == 1
    assert isinstance(next(iter(result.failed.values())), Denied)


@pytest.mark.parametrize("setting", list(ExpungeTo))
async def test_a_lost_answer_loses_nothing(make_rig: MakeRig, setting: ExpungeTo) -> None:
    rig = make_rig(expunge=setting)
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order("$batch", LOST_AFTER_WORK, skip=1)
    result = await gone(rig, "inbox", refs)
    assert {*result.done, *result.missing} == set(refs)
    assert not result.failed
    assert rig.inside("inbox") == []


async def test_an_unknown_folder_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFound):
        await expunge(rig.mail, MailboxRef("no-such-folder"), [])


async def test_nothing_is_expunged_from_a_search_folder(rig: Rig) -> None:
    refs = await rig.fill("inbox", 1)
    rig.box.create_folder("Unread", search_query="isRead eq false")
    with pytest.raises(Denied):
        await gone(rig, "Unread", refs)
    assert len(rig.inside("inbox")) == 1
