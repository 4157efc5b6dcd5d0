"""Following the history, with everything that is odd about it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import CursorExpired, Unavailable
from connectors.api.types import DRAFT, FLAGGED, SEEN, ChangePage, Cursor, MailboxRef, MessageRef, MessageState
from connectors.gmail.history import PAGE
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import Stage, staged, told
from tests.fakes.gmail.options import FakeOptions, Quirks


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


async def pages(stage: Stage, cursor: Cursor) -> list[ChangePage]:
    return [page async for page in stage.connector.changes(None, cursor)]


async def states(stage: Stage, cursor: Cursor) -> dict[str, MessageState]:
    return {state.ref: state for page in await pages(stage, cursor) for state in page.changed}


async def test_an_idle_poll_costs_three_units(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    stage.clear()
    assert await pages(stage, cursor) == []
    assert stage.units == 3


async def test_a_position_costs_two_units(stage: Stage) -> None:
    await stage.connector.position(None)
    assert stage.units == 2


async def test_changes_need_no_message_to_be_read(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    first, second, third = stage.fill(3, "INBOX", "UNREAD")
    cursor = await stage.connector.position(None)
    stage.clear()
    new = stage.deliver(9, "INBOX", "UNREAD")
    stage.fake.relabel(first, add={work, "STARRED"}, remove={"UNREAD"})
    stage.fake.trash(second)
    stage.fake.delete(third)
    (page,) = await pages(stage, cursor)
    assert {state.ref: told(state) for state in page.changed} == {
        new: (["ALL", "INBOX"], []),
        first: (["ALL", "INBOX", work, "STARRED"], [FLAGGED, SEEN]),
        second: (["TRASH"], []),
    }
    assert page.removed == (third,)
    assert stage.units == 3
    assert page.cursor is not None
    assert await pages(stage, page.cursor) == []


async def test_labels_that_are_missing_follow_from_what_is_known() -> None:
    async with staged(FakeOptions(quirks=Quirks(absent_label_ids=True))) as stage:
        ref = stage.deliver(1, "INBOX", "UNREAD")
        cursor = await stage.connector.position(None)
        async for _ in stage.connector.list_account():
            pass
        stage.clear()
        stage.fake.relabel(ref, add={"STARRED"}, remove={"UNREAD"})
        found = await states(stage, cursor)
        assert told(found[ref]) == (["ALL", "INBOX", "STARRED"], [FLAGGED, SEEN])
        assert not stage.calls("messages.get")


async def test_a_message_is_asked_for_only_where_nothing_else_tells() -> None:
    async with staged(FakeOptions(quirks=Quirks(absent_label_ids=True))) as stage:
        ref = stage.deliver(1, "INBOX", "UNREAD")
        cursor = await stage.connector.position(None)
        gone = stage.deliver(2, "INBOX")
        fresh = stage.deliver(3, "INBOX")
        stage.fake.relabel(ref, add={"STARRED"})
        stage.fake.delete(gone)
        stage.clear()
        found = await states(stage, cursor)
        assert told(found[ref])[0] == ["ALL", "INBOX", "STARRED"]
        assert told(found[fresh])[0] == ["ALL", "INBOX"]
        assert len(found) == 2
        assert stage.calls("messages.get") == 2


# -- what messages without labels cost ---------------------------------------------------------------------------------


async def archived(stage: Stage, count: int) -> list[MessageRef]:
    """Return messages that have no label, of which nothing is known."""
    refs = stage.fill(count)
    await stage.connector.close()
    await stage.connector.open()
    return refs


SEEN_ONLY, NO_FLAGS = frozenset({SEEN}), frozenset[str]()


async def test_the_look_after_a_thousand_marks_costs_little_more_than_any(stage: Stage) -> None:
    refs = await archived(stage, 1000)
    await stage.connector.store_flags(MailboxRef("ALL"), refs, NO_FLAGS, SEEN_ONLY)
    cursor = await stage.connector.position(None)
    stage.clear()
    await stage.connector.store_flags(MailboxRef("ALL"), refs, SEEN_ONLY, NO_FLAGS)
    assert stage.units == 50
    found = await states(stage, cursor)
    # Two pages of history and the labels; how many are starred or drafts, and which.
    assert stage.units == 50 + 2 * 2 + 1 + 2 * (1 + 5)
    assert found.keys() == set(refs)
    # Where they are is not known, and not said.
    assert {(state.flags, state.mailboxes) for state in found.values()} == {(SEEN_ONLY, None)}


async def test_whoever_marks_messages_their_flags_are_told_whole(stage: Stage) -> None:
    stage.fake.quirks.set("absent_label_ids", True)
    refs = stage.fill(2, "INBOX") + stage.fill(2, "INBOX", "STARRED")
    cursor = await stage.connector.position(None)
    for ref in refs:
        stage.fake.relabel(ref, add={"UNREAD"})
    for ref in refs[::2]:
        stage.fake.relabel(ref, remove={"UNREAD"})
    await stage.connector.close()
    await stage.connector.open()
    stage.clear()
    found = await states(stage, cursor)
    starred = frozenset({FLAGGED})
    assert [found[ref].flags for ref in refs] == [SEEN_ONLY, NO_FLAGS, starred | SEEN_ONLY, starred]
    assert not stage.calls("messages.get")


async def test_a_draft_that_is_marked_is_a_draft(stage: Stage) -> None:
    stage.fake.quirks.set("absent_label_ids", True)
    stage.fake.new_draft(mail(1))
    (ref,) = await stage.probe("DRAFT").refs()
    cursor = await stage.connector.position(None)
    stage.fake.relabel(ref, add={"UNREAD"})
    stage.fake.relabel(ref, remove={"UNREAD"})
    assert (await states(stage, cursor))[ref].flags == frozenset({SEEN, DRAFT})


async def test_what_is_more_than_marked_is_told_with_its_mailboxes(stage: Stage) -> None:
    refs = stage.fill(3, "INBOX")
    stage.fake.quirks.set("absent_label_ids", True)
    cursor = await stage.connector.position(None)
    new = stage.deliver(9, "INBOX", "UNREAD")
    for ref in (*refs, new):
        stage.fake.relabel(ref, add={"UNREAD"})
        stage.fake.relabel(ref, remove={"UNREAD"})
    stage.fake.relabel(refs[0], add={"STARRED"})
    stage.fake.relabel(refs[1], remove={"INBOX"})
    found = await states(stage, cursor)
    assert told(found[refs[0]]) == (["ALL", "INBOX", "STARRED"], [FLAGGED, SEEN])
    assert told(found[refs[1]]) == (["ALL"], [SEEN])
    assert (found[refs[2]].mailboxes, found[refs[2]].flags) == (None, SEEN_ONLY)
    assert told(found[new]) == (["ALL", "INBOX"], [SEEN])


async def test_many_messages_are_found_out_about_by_the_lists_of_labels(stage: Stage) -> None:
    """A thousand are archived in the browser: nothing is known of them, and they have no label then."""
    work = stage.fake.new_label("Work")
    kept = stage.fill(700, work, "INBOX", "STARRED")
    refs = stage.fill(1000, "INBOX")
    cursor = await stage.connector.position(None)
    for ref in refs:
        stage.fake.relabel(ref, remove={"INBOX"})
    stage.fake.quirks.set("absent_label_ids", True)
    for ref in kept[:10]:
        stage.fake.relabel(ref, add={"IMPORTANT", "UNREAD"})
    stage.fake.trash(kept[10])
    stage.clear()
    found = await states(stage, cursor)
    assert not stage.calls("messages.get")
    labels = stage.calls("labels.get")
    assert stage.units == 2 * 3 + 1 + labels + 5 * stage.calls("messages.list")
    assert stage.calls("messages.list") <= labels + 5
    for ref in refs:
        assert told(found[ref]) == (["ALL"], [SEEN])
    for ref in kept[:10]:
        assert told(found[ref]) == (["ALL", "IMPORTANT", "INBOX", work, "STARRED"], [FLAGGED])
    assert told(found[kept[10]]) == (["TRASH"], [FLAGGED, SEEN])
    assert len(found) == 1011


async def test_where_lists_are_long_a_few_messages_are_read_each(stage: Stage) -> None:
    stage.fill(5000, "INBOX", "UNREAD")
    refs = stage.fill(5, "INBOX")
    cursor = await stage.connector.position(None)
    for ref in refs:
        stage.fake.relabel(ref, remove={"INBOX"})
    stage.clear()
    found = await states(stage, cursor)
    assert {tuple(told(state)[0]) for state in found.values()} == {("ALL",)}
    assert stage.calls("messages.get") == 5
    assert not stage.calls("messages.list")


async def test_a_message_that_goes_before_it_is_asked_for_is_gone() -> None:
    async with staged(FakeOptions(quirks=Quirks(absent_label_ids=True))) as stage:
        cursor = await stage.connector.position(None)
        ref = stage.deliver(1, "INBOX")
        stage.fake.fail_next("gmail.users.messages.get", status=404, reason="notFound")
        (page,) = await pages(stage, cursor)
        assert page.changed == ()
        assert page.removed == (ref,)


async def test_a_message_without_any_label_is_archived(stage: Stage) -> None:
    ref = stage.deliver(1, "INBOX")
    cursor = await stage.connector.position(None)
    stage.fake.relabel(ref, remove={"INBOX"})
    found = await states(stage, cursor)
    assert told(found[ref]) == (["ALL"], [SEEN])


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(empty_history_pages=True),
        Quirks(bare_history_records=True),
        Quirks(joined_history_records=True),
        Quirks(unknown_labels=True),
        Quirks(empty_history_pages=True, bare_history_records=True, absent_label_ids=True),
    ],
)
async def test_odd_pages_and_records_are_borne(quirks: Quirks) -> None:
    async with staged(FakeOptions(quirks=quirks)) as stage:
        replica = stage.probe().replica()
        await replica.begin()
        refs = stage.fill(700, "INBOX", "UNREAD")
        for ref in refs[:200]:
            stage.fake.relabel(ref, add={"STARRED"}, remove={"UNREAD"})
        for ref in refs[100:300]:
            stage.fake.delete(ref)
        await replica.catch_up()
        expected = {ref: frozenset({SEEN, FLAGGED}) for ref in refs[:100]} | dict.fromkeys(refs[300:], frozenset[str]())
        assert replica.flags == expected


async def test_many_changes_come_in_pages_and_the_cursor_with_the_last(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    refs = stage.fill(PAGE + 1, "INBOX")
    found = await pages(stage, cursor)
    assert [state.ref for page in found for state in page.changed] == refs
    assert [page.cursor is not None for page in found] == [False, True]


@pytest.mark.parametrize(
    "cursor", ["", "junk", "[]", '["2","user@example.com","1","x"]', '["1","else@example.com","1","x"]']
)
async def test_a_cursor_that_is_not_of_this_mailbox_has_expired(stage: Stage, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        await pages(stage, Cursor(cursor))


async def test_history_that_does_not_go_back_so_far_has_expired(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    stage.fake.expire_history()
    with pytest.raises(CursorExpired):
        await pages(stage, cursor)
    fresh = await stage.connector.position(None)
    assert await pages(stage, fresh) == []


async def test_history_that_ends_between_two_pages_has_expired(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    stage.fill(600, "INBOX")
    stage.fake.fail_next("gmail.users.history.list", status=200, delay_s=0.0)
    stage.fake.fail_next("gmail.users.history.list", status=404, reason="notFound")
    with pytest.raises(CursorExpired):
        await pages(stage, cursor)


async def test_a_position_that_gmail_refuses_has_expired_and_a_later_page_is_a_failure(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    stage.fill(600, "INBOX")
    stage.fake.fail_next("gmail.users.history.list", status=400, reason="invalidArgument")
    with pytest.raises(CursorExpired):
        await pages(stage, cursor)
    stage.fake.fail_next("gmail.users.history.list", status=200, delay_s=0.0)
    stage.fake.fail_next("gmail.users.history.list", status=400, reason="invalidArgument")
    with pytest.raises(Unavailable):
        await pages(stage, cursor)


async def test_labels_made_renamed_hidden_and_deleted_are_told_once(stage: Stage) -> None:
    cursor = await stage.connector.position(None)

    async def is_told() -> bool:
        nonlocal cursor
        found = await pages(stage, cursor)
        assert len(found) <= 1
        cursor = found[0].cursor or cursor if found else cursor
        assert await pages(stage, cursor) == []
        return bool(found and found[0].mailboxes_changed)

    label = stage.fake.new_label("Work")
    assert await is_told()
    stage.fake.rename_label(label, "Play")
    assert await is_told()
    stage.fake.deliver(mail(1), [label])
    assert not await is_told()
    stage.fake.mailbox.labels.change(label, None, {"labelListVisibility": "labelHide"}, None)
    assert await is_told()
    stage.fake.delete_label(label)
    assert await is_told()


async def test_a_label_that_was_listed_and_has_gone_again_since_the_last_look_is_told(stage: Stage) -> None:
    cursor = await stage.connector.position(None)
    label = stage.fake.new_label("Work")
    await stage.connector.list_mailboxes()
    stage.fake.delete_label(label)
    # The labels are those of the last look, and not those that the gateway has.
    (page,) = await pages(stage, cursor)
    assert page.mailboxes_changed
    await stage.connector.list_mailboxes()
    assert await pages(stage, page.cursor or cursor) == []


async def test_what_another_process_read_meanwhile_does_not_mislead() -> None:
    async with staged(FakeOptions(quirks=Quirks(absent_label_ids=True))) as stage:
        ref = stage.deliver(1, "INBOX", "UNREAD")
        cursor = await stage.connector.position(None)
        async for _ in stage.connector.list_account():
            pass
        stage.fake.relabel(ref, add={"STARRED"})
        other = stage.rig.connector()
        await other.open()
        (page,) = [page async for page in other.changes(None, cursor)]
        assert page.cursor is not None
        stage.fake.relabel(ref, remove={"UNREAD"})
        found = await states(stage, page.cursor)
        assert found[ref].flags == frozenset({FLAGGED, SEEN})
        await other.close()
