"""Following the history, with everything that is odd about it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import CursorExpired, Unavailable
from connectors.api.types import FLAGGED, SEEN, ChangePage, Cursor, MessageState
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
        assert told(found[ref])[1] == [FLAGGED, SEEN]
        await other.close()
