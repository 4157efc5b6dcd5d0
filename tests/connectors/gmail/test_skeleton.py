"""Listing without reading: what it tells, what it costs, and what happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import NotFound
from connectors.api.types import DRAFT, FLAGGED, SEEN, MailboxRef, MessageState
from tests.connectors.gmail.stage import Stage, staged
from tests.fakes.gmail.options import FakeOptions, Quirks


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


async def account(stage: Stage) -> dict[str, MessageState]:
    return {state.ref: state async for page in stage.connector.list_account() for state in page}


async def test_membership_flags_and_order_come_without_reading_a_message(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    refs = [
        stage.deliver(1, "INBOX", "UNREAD"),
        stage.deliver(2, "INBOX", work, "STARRED"),
        stage.deliver(3),
        stage.deliver(4, "TRASH", work, "UNREAD"),
        stage.deliver(5, "SPAM"),
        stage.deliver(6, "SENT"),
    ]
    found = await account(stage)
    assert list(found) == refs
    told = [(sorted(state.mailboxes or ()), sorted(state.flags or ())) for state in found.values()]
    assert told == [
        (["ALL", "INBOX"], []),
        (["ALL", "INBOX", work, "STARRED"], [FLAGGED, SEEN]),
        (["ALL"], [SEEN]),
        (["TRASH"], []),
        (["SPAM"], [SEEN]),
        (["ALL", "SENT"], [SEEN]),
    ]
    assert all(state.email_id == state.ref and state.thread_id for state in found.values())
    assert not stage.calls("messages.get")


async def test_a_mailbox_is_listed_by_three_lists(stage: Stage) -> None:
    refs = [stage.deliver(1, "INBOX"), stage.deliver(2, "INBOX", "UNREAD"), stage.deliver(3, "INBOX", "STARRED")]
    stage.deliver(4, "UNREAD")
    stage.deliver(5, "INBOX", "TRASH")
    states = await stage.probe().listing()
    assert [state.ref for state in states] == refs
    assert [state.flags for state in states] == [{SEEN}, frozenset(), {SEEN, FLAGGED}]
    assert stage.units == 15


@pytest.mark.parametrize("hides", [False, True])
async def test_trash_and_spam_list_what_others_leave_out(hides: bool) -> None:
    async with staged(FakeOptions(quirks=Quirks(list_hides_unless_asked=hides))) as stage:
        work = stage.fake.new_label("Work")
        trashed = stage.deliver(1, "TRASH", work, "UNREAD")
        junk = stage.deliver(2, "SPAM", "STARRED")
        kept = stage.deliver(3, work)
        assert await stage.probe("TRASH").refs() == [trashed]
        assert await stage.probe("SPAM").refs() == [junk]
        assert await stage.probe(work).refs() == [kept]
        assert await stage.probe("ALL").refs() == [kept]
        assert await stage.probe("STARRED").refs() == []


@pytest.mark.parametrize("is_known", [False, True])
async def test_drafts_are_flagged_as_such_however_they_are_listed(stage: Stage, is_known: bool) -> None:
    stage.fake.new_draft(b"Subject: x\r\n\r\nx\r\n")
    stage.deliver(1, "UNREAD")
    if is_known:
        await account(stage)
    draft = stage.fake.new_draft(b"Subject: y\r\n\r\ny\r\n")
    stage.fake.trash(stage.fake.mailbox.messages[stage.fake.mailbox.drafts[draft]].id)
    drafts, everything, trash = [await stage.probe(mailbox).listing() for mailbox in ("DRAFT", "ALL", "TRASH")]
    assert [sorted(state.flags or ()) for state in trash] == [[DRAFT, SEEN]]
    assert [sorted(state.flags or ()) for state in drafts] == [[DRAFT, SEEN]]
    assert [sorted(state.flags or ()) for state in everything] == [[DRAFT, SEEN], []]


@pytest.mark.parametrize("is_known", [False, True])
async def test_chats_are_only_where_somebody_has_put_them(stage: Stage, is_known: bool) -> None:
    cursor = await stage.probe().position()
    chat = stage.deliver(1, "CHAT", "STARRED")
    kept = stage.deliver(2, "INBOX")
    if is_known:
        found = await account(stage)
        assert [sorted(found[ref].mailboxes or ()) for ref in (chat, kept)] == [["STARRED"], ["ALL", "INBOX"]]
    assert await stage.probe("ALL").refs() == [kept]
    assert await stage.probe("STARRED").refs() == [chat]
    told = {state.ref: state async for page in stage.connector.changes(None, cursor) for state in page.changed}
    assert sorted(told[chat].mailboxes or ()) == ["STARRED"]


async def test_what_is_known_of_flags_is_not_listed_again(stage: Stage) -> None:
    stage.fill(3, "INBOX", "UNREAD")
    await account(stage)
    starred = stage.deliver(9, "INBOX", "STARRED")
    stage.clear()
    states = await stage.probe().listing()
    assert [state.flags for state in states] == [frozenset(), frozenset(), frozenset(), {SEEN, FLAGGED}]
    assert states[3].ref == starred
    assert stage.units == 7, "one list, and the history since"


async def test_what_changes_while_lists_are_read_is_settled_by_the_history(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    refs = stage.fill(4, "INBOX", "UNREAD")
    replica = stage.probe().replica()
    replica.cursor = await stage.probe().position()
    listing = stage.connector.list_account()
    first = await anext(listing)
    stage.fake.relabel(refs[0], add={work}, remove={"INBOX"})
    stage.fake.relabel(refs[1], add={"STARRED"})
    stage.fake.delete(refs[2])
    stage.deliver(9, "INBOX")
    for state in first:
        replica.apply(state)
    async for page in listing:
        for state in page:
            replica.apply(state)
    await replica.catch_up()
    await replica.check()
    assert len(replica.flags) == 3


async def test_pages_of_lists_are_walked_to_their_end() -> None:
    async with staged(FakeOptions(messages=1_201)) as stage:
        states = await stage.probe("ALL").listing()
        messages = stage.fake.mailbox.messages.values()
        expected = [m for m in messages if not m.labels & {"SPAM", "TRASH"}]
        assert [state.ref for state in states] == [m.id for m in expected]
        assert {s.ref for s in states if SEEN not in (s.flags or ())} == {
            m.id for m in expected if "UNREAD" in m.labels
        }
        assert {s.ref for s in states if FLAGGED in (s.flags or ())} == {
            m.id for m in expected if "STARRED" in m.labels
        }


async def test_listing_costs_what_lists_by_label_cost() -> None:
    async with staged(FakeOptions(messages=20_000, labels=6)) as stage:
        labels = [label.id for label in stage.fake.mailbox.labels if not label.is_system]
        counts = {name: stage.fake.mailbox.index.count(name) for name in (None, *labels, "INBOX", "UNREAD", "STARRED")}
        async for _ in stage.connector.list_account():
            pass
        # One list for all, one for each label, none for All Mail; and the labels.
        names = [*labels, "INBOX", "SENT", "DRAFT", "IMPORTANT", "SPAM", "TRASH", "STARRED", "UNREAD", "CHAT"]
        pages = sum(max(1, -(-stage.fake.mailbox.index.count(name) // 500)) for name in (None, *names))
        assert stage.units == 5 * pages + 1
        stage.clear()
        async for _ in stage.connector.listing(MailboxRef("INBOX")):
            pass
        assert stage.units == 5 * -(-counts["INBOX"] // 500) + 2


async def test_a_mailbox_that_was_deleted_is_not_found(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    stage.deliver(1, work)
    assert len(await stage.probe(work).refs()) == 1
    stage.fake.delete_label(work)
    with pytest.raises(NotFound):
        await stage.probe(work).refs()
    with pytest.raises(NotFound):
        await stage.probe("/[Gmail]").refs()


async def test_a_label_deleted_while_the_account_is_listed_does_no_harm(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    ref = stage.deliver(1, work)
    stage.fake.fail_next("gmail.users.messages.list", status=503)
    listing = stage.connector.list_account()
    tree = stage.connector.list_mailboxes
    await tree()
    stage.fake.delete_label(work)
    assert [state.ref async for page in listing for state in page] == [ref]
