"""Flags, COPY and MOVE at Graph, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from connectors.api.errors import Denied, NotFound, OutcomeUnknown, Unavailable, Unsupported
from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN, BatchResult, MailboxRef, MessageRef
from connectors.graph.writing import copy, move, store_flags
from tests.connectors.graph.writing_rig import LOST, LOST_AFTER_WORK, NONE, Rig
from tests.fakes.graph.faults import Fault

PATCH = "messages.patch"


async def store(rig: Rig, refs: Sequence[MessageRef], add: Iterable[str], remove: Iterable[str] = ()) -> BatchResult:
    return await store_flags(rig.mail, rig.ref("inbox"), refs, frozenset(add), frozenset(remove))


def flags(result: BatchResult, ref: MessageRef) -> frozenset[str] | None:
    state = result.done[ref]
    assert state is not None
    return state.flags


# -- flags ------------------------------------------------------------------------------------------------------------


async def test_a_thousand_messages_cost_fifty_requests(rig: Rig) -> None:
    refs = rig.seed("inbox", 1000)
    await rig.mail.tree()
    rig.fake.stats.clear()
    result = await store(rig, refs, {SEEN})
    assert set(result.done) == set(refs)
    assert dict(rig.fake.stats.requests) == {"$batch": 50}
    assert rig.fake.stats.most_at_once <= 4
    assert all(message.is_read for message in rig.inside("inbox"))


async def test_flags_that_have_to_be_known_before_are_read_from_the_list(rig: Rig) -> None:
    refs = rig.seed("inbox", 1000)
    purged, moved = refs[3], refs[500]
    rig.box.change(rig.message(refs[7]), ["categories"], categories=("Play",))
    await rig.mail.tree()
    rig.box.purge(rig.message(purged))
    rig.box.move(rig.message(moved), rig.folder("archive"))
    rig.fake.stats.clear()

    result = await store(rig, refs, {"Project"})

    assert rig.fake.stats.requests["folder-messages.list"] == 1
    assert rig.fake.stats.requests["$batch"] == 51
    assert result.missing == {purged, moved}
    assert set(result.done) == set(refs) - {purged, moved}
    assert rig.message(refs[7]).categories == ("Play", "Project")
    assert all("Project" in message.categories for message in rig.inside("inbox"))
    assert rig.message(moved).categories == ()
    state = result.done[refs[7]]
    assert state is not None
    assert state.flags == frozenset({"Play", "Project"})


async def test_of_a_large_folder_messages_are_read_by_name(rig: Rig) -> None:
    refs = rig.seed("inbox", 120)
    rig.mail.page = 10
    await store(rig, refs, {"Project"})
    assert rig.fake.stats.requests["folder-messages.list"] == 0
    assert all(message.categories == ("Project",) for message in rig.inside("inbox"))


async def test_messages_are_read_by_name_if_the_list_fails(rig: Rig) -> None:
    refs = rig.seed("inbox", 120)
    await rig.mail.tree()
    rig.fake.fail_next("folder-messages.list", times=9, status=504)
    assert set((await store(rig, refs, {"Project"})).done) == set(refs)


@pytest.mark.parametrize(
    ("before", "add", "remove", "after"),
    [
        ({SEEN}, {FLAGGED}, {SEEN}, {FLAGGED}),
        (set(), {ANSWERED}, set(), {ANSWERED}),
        ({ANSWERED}, {"$Forwarded"}, set(), {ANSWERED, "$Forwarded"}),
        ({ANSWERED, "$Forwarded"}, set(), {ANSWERED}, {"$Forwarded"}),
        ({"Project", "Play"}, {"Home"}, {"Play"}, {"Project", "Home"}),
        ({"$label1"}, {"$label2"}, {"$label1"}, {"$label2"}),
        ({SEEN}, {SEEN}, {FLAGGED}, {SEEN}),
        (set(), {DRAFT}, set(), set()),
    ],
    ids=lambda flags: " ".join(sorted(flags)) or "none",
)
async def test_flags_are_added_and_removed_exactly(
    rig: Rig, before: set[str], add: set[str], remove: set[str], after: set[str]
) -> None:
    (ref,) = await rig.fill("inbox", 1)
    await store(rig, [ref], before)
    result = await store(rig, [ref], add, remove)
    assert flags(result, ref) == frozenset(after)
    (told,) = (await rig.mail.read_messages([ref])).values()
    assert rig.mail.state(told).flags == frozenset(after)


async def test_what_is_there_already_is_not_written(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    await store(rig, refs, {SEEN, "Project"})
    rig.fake.stats.clear()
    result = await store(rig, refs, {SEEN, "Project"})
    assert rig.fake.stats.batched[PATCH] == 0
    assert [flags(result, ref) for ref in refs] == [frozenset({SEEN, "Project"})] * 3


async def test_categories_that_were_set_meanwhile_stay(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.change(rig.message(ref), {"categories"}, categories=("Red category", "Blue category"))
    await store(rig, [ref], {"Project"}, {"Blue=20;category"})
    assert rig.message(ref).categories == ("Red category", "Project")


async def test_a_completed_flag_is_left_alone(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.change(rig.message(ref), {"flag"}, flag={"flagStatus": "complete"})
    result = await store(rig, [ref], NONE, {FLAGGED})
    assert rig.message(ref).flag["flagStatus"] == "complete"
    assert flags(result, ref) == NONE


async def test_a_conflict_is_overcome_after_reading_again(rig: Rig) -> None:
    refs = await rig.fill("inbox", 5)
    rig.fake.faults.order(PATCH, Fault(status=412), times=2)
    result = await store(rig, refs, {SEEN, "Project"})
    assert set(result.done) == set(refs)
    assert not result.failed
    assert all(message.is_read and message.categories == ("Project",) for message in rig.inside("inbox"))


async def test_a_conflict_that_does_not_end_fails_its_message_only(rig: Rig) -> None:
    refs = await rig.fill("inbox", 2)
    rig.box.quirks.conflict_every = 1
    result = await store(rig, refs[:1], {SEEN})
    assert isinstance(result.failed[refs[0]], Unavailable)
    assert rig.fake.stats.batched[PATCH] == 3


async def test_of_many_conflicts_none_loses_a_change(rig: Rig) -> None:
    refs = rig.seed("inbox", 100)
    rig.box.quirks.conflict_every = 13
    result = await store(rig, refs, {SEEN, "Project"})
    assert set(result.done) == set(refs)
    assert all(message.is_read and message.categories == ("Project",) for message in rig.inside("inbox"))


async def test_what_is_gone_is_missing_and_the_others_are_done(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.box.purge(rig.message(refs[1]))
    result = await store(rig, refs, {SEEN})
    assert result.missing == frozenset({refs[1]})
    assert set(result.done) == {refs[0], refs[2]}


async def test_of_many_what_is_gone_is_missing_without_a_look_before(rig: Rig) -> None:
    refs = rig.seed("inbox", 150)
    rig.box.purge(rig.message(refs[7]))
    result = await store(rig, refs, {SEEN})
    assert result.missing == frozenset({refs[7]})
    assert len(result.done) == 149
    assert all(message.is_read for message in rig.inside("inbox"))


async def test_what_was_moved_elsewhere_is_missing_and_looked_for_there(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.move(rig.message(ref), rig.folder("archive"))
    result = await store(rig, [ref], {SEEN})
    assert result.missing == frozenset({ref})
    assert rig.mail.known.strays(rig.ref("archive")) == [ref]


async def test_one_refusal_fails_one_message(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order(PATCH, Fault(status=403), times=1)
    result = await store(rig, refs, {SEEN})
    assert len(result.done) == 2
    (error,) = result.failed.values()
    assert isinstance(error, Denied)


async def test_a_lost_batch_of_flags_is_simply_repeated(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order("$batch", LOST_AFTER_WORK, skip=1)
    result = await store(rig, refs, {SEEN, "Project"})
    assert set(result.done) == set(refs)


async def test_flags_in_an_unknown_folder_are_not_found(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    with pytest.raises(NotFound):
        await store_flags(rig.mail, MailboxRef("no-such-folder"), [ref], frozenset({SEEN}), NONE)


async def test_an_id_that_is_none_is_missing(rig: Rig) -> None:
    result = await store(rig, [MessageRef("nonsense")], {SEEN})
    assert result.missing == frozenset({MessageRef("nonsense")})
    rig.fake.stats.violations.clear()


# -- copy -------------------------------------------------------------------------------------------------------------


async def test_copies_have_refs_of_their_own_and_keep_flags_and_dates(rig: Rig) -> None:
    refs = await rig.fill("inbox", 25)
    await store(rig, refs, {SEEN, ANSWERED, "Project"})
    result = await copy(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    made = [state.ref for state in result.done.values() if state is not None]
    assert len(made) == 25
    assert not set(made) & set(refs)
    told = await rig.mail.read_messages(made)
    assert {rig.mail.state(message).flags for message in told.values()} == {frozenset({SEEN, ANSWERED, "Project"})}
    assert len(rig.inside("inbox")) == len(rig.inside("archive")) == 25
    for ref in refs:
        state = result.done[ref]
        assert state is not None
        assert state.internal_date == rig.message(ref).received


async def test_a_copy_in_the_same_folder_is_another_message(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    await copy(rig.mail, rig.ref("inbox"), [ref], rig.ref("inbox"))
    assert len(rig.inside("inbox")) == 2


async def test_a_lost_batch_of_copies_is_not_repeated(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order("$batch", LOST_AFTER_WORK)
    result = await copy(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert {type(error) for error in result.failed.values()} == {OutcomeUnknown}
    assert len(rig.inside("archive")) == 3


async def test_copies_name_what_is_missing(rig: Rig) -> None:
    refs = await rig.fill("inbox", 2)
    rig.box.purge(rig.message(refs[0]))
    result = await copy(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert (result.missing, set(result.done)) == (frozenset({refs[0]}), {refs[1]})


@pytest.mark.parametrize("verb", [copy, move])
async def test_a_destination_that_was_just_deleted_is_not_found(rig: Rig, verb: object) -> None:
    (ref,) = await rig.fill("inbox", 1)
    folder = rig.box.create_folder("Project")
    work = rig.ref("Project")
    await rig.mail.require(work)
    rig.box.delete_folder(folder, is_purge=True)
    with pytest.raises(NotFound):
        await verb(rig.mail, rig.ref("inbox"), [ref], work)  # type: ignore[operator]
    assert len(rig.inside("inbox")) == 1


@pytest.mark.parametrize("verb", [copy, move])
async def test_what_was_left_when_the_destination_was_deleted_is_not_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, verb: object
) -> None:
    refs = await rig.fill("inbox", 45)
    folder, turn = rig.box.create_folder("Project"), rig.fake.turn
    work = rig.ref("Project")

    async def eventful_turn() -> None:
        if folder in rig.box.folders.values() and len(rig.box.in_folder(folder)) >= 15:
            rig.box.delete_folder(folder, is_purge=True)
        await turn()

    monkeypatch.setattr(rig.fake, "turn", eventful_turn)
    result = await verb(rig.mail, rig.ref("inbox"), refs, work)  # type: ignore[operator]

    assert result.missing == frozenset()
    assert all(isinstance(error, NotFound) for error in result.failed.values())
    assert result.done
    assert result.done.keys() | result.failed.keys() == set(refs)


@pytest.mark.parametrize("verb", [copy, move])
async def test_nothing_is_put_into_a_search_folder(rig: Rig, verb: object) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.create_folder("Unread", search_query="isRead eq false")
    with pytest.raises(Unsupported):
        await verb(rig.mail, rig.ref("inbox"), [ref], rig.ref("Unread"))  # type: ignore[operator]


# -- move -------------------------------------------------------------------------------------------------------------


async def test_a_moved_message_keeps_its_ref(rig: Rig) -> None:
    refs = await rig.fill("inbox", 25)
    result = await move(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert [state.ref for state in result.done.values() if state is not None] == refs
    assert rig.inside("inbox") == []
    assert len(rig.inside("archive")) == 25


async def test_what_somebody_else_moved_stays_where_it_is(rig: Rig) -> None:
    refs = await rig.fill("inbox", 2)
    rig.box.move(rig.message(refs[0]), rig.folder("junkemail"))
    result = await move(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert (result.missing, set(result.done)) == (frozenset({refs[0]}), {refs[1]})
    assert len(rig.inside("junkemail")) == 1


async def test_what_has_arrived_already_is_done(rig: Rig) -> None:
    (ref,) = await rig.fill("inbox", 1)
    rig.box.move(rig.message(ref), rig.folder("archive"))
    rig.fake.stats.clear()
    result = await move(rig.mail, rig.ref("inbox"), [ref], rig.ref("archive"))
    assert set(result.done) == {ref}
    assert rig.fake.stats.batched["messages.move"] == 0


async def test_a_move_whose_answer_is_lost_is_found_done(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order("$batch", LOST_AFTER_WORK, skip=1)
    result = await move(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert set(result.done) == set(refs)


async def test_a_move_that_was_lost_is_unknown(rig: Rig) -> None:
    refs = await rig.fill("inbox", 3)
    rig.fake.faults.order("$batch", LOST, skip=1)
    result = await move(rig.mail, rig.ref("inbox"), refs, rig.ref("archive"))
    assert {type(error) for error in result.failed.values()} == {OutcomeUnknown}
    assert len(rig.inside("inbox")) == 3


async def test_writes_on_no_message_do_nothing(rig: Rig) -> None:
    inbox, archive = rig.ref("inbox"), rig.ref("archive")
    await rig.mail.tree()
    rig.fake.stats.clear()
    for result in (
        await store(rig, [], {SEEN}),
        await copy(rig.mail, inbox, [], archive),
        await move(rig.mail, inbox, [], archive),
    ):
        assert result == BatchResult()
    assert rig.fake.stats.total_requests == 0
