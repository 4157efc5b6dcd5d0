"""EXPUNGE: which label goes, and what becomes of the message, by mailbox and by setting."""

from __future__ import annotations

import pytest

from connectors.api.errors import Denied
from connectors.api.types import DELETED, SEEN, BatchResult, MailboxRef, MessageRef
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import Stage, staged
from tests.fakes.gmail.errors import ApiError
from tests.fakes.gmail.options import MODIFY_SCOPE

WORK = "Label_1"
GONE: set[str] | None = None


async def expunge(stage: Stage, mailbox: str, *refs: MessageRef) -> BatchResult:
    return await stage.connector.expunge(MailboxRef(mailbox), refs)


def labels(stage: Stage, ref: MessageRef) -> set[str] | None:
    """Return the labels of a message, or None if it is gone for good."""
    try:
        return set(stage.has(ref))
    except ApiError:
        return GONE


def holders(after: set[str] | None) -> set[str] | None:
    """Return the mailboxes that a message with these labels is in, or None if it is gone for good."""
    if after is None:
        return None
    return {"TRASH"} if "TRASH" in after else {"ALL", *after} - {"UNREAD"}


def told_holders(result: BatchResult, ref: MessageRef) -> frozenset[MailboxRef] | None:
    """Return where a message goes on by what the connector says, or None if it says that it does not."""
    state = result.done[ref]
    if state is None:
        return None
    assert state.mailboxes is not None
    return state.mailboxes


@pytest.mark.parametrize(
    ("setting", "has", "mailbox", "after"),
    [
        # Ordinary mailboxes: the label goes, and with the last one what the setting says.
        ("archive", {"INBOX", WORK}, "INBOX", {WORK}),
        ("archive", {"INBOX"}, "INBOX", set()),
        ("archive", {WORK}, WORK, set()),
        ("trash", {"INBOX", WORK}, WORK, {"INBOX"}),
        ("trash", {"INBOX"}, "INBOX", {"TRASH"}),
        ("trash", {WORK, "UNREAD"}, WORK, {"TRASH", "UNREAD"}),
        ("trash", {WORK, "STARRED"}, WORK, {"STARRED"}),
        ("delete", {"INBOX", WORK}, "INBOX", {WORK}),
        ("delete", {"INBOX", "SENT"}, "INBOX", {"SENT"}),
        ("delete", {WORK}, WORK, GONE),
        # All Mail and Sent Mail: to Trash.
        ("archive", {"INBOX", WORK}, "ALL", {"TRASH", WORK}),
        ("delete", set(), "ALL", {"TRASH"}),
        ("archive", {"SENT"}, "SENT", {"SENT", "TRASH"}),
        # Trash and Spam: for good.
        ("archive", {"TRASH", WORK}, "TRASH", GONE),
        ("trash", {"SPAM"}, "SPAM", GONE),
        # Views: what they show goes, and nothing else.
        ("archive", {"INBOX", "STARRED"}, "STARRED", {"INBOX"}),
        ("trash", {"STARRED"}, "STARRED", set()),
        ("delete", {"IMPORTANT"}, "IMPORTANT", set()),
    ],
)
async def test_expunge(setting: str, has: set[str], mailbox: str, after: set[str] | None) -> None:
    async with staged(expunge=setting) as stage:
        stage.fake.new_label("Work")
        ref, other = stage.deliver(1, *has), stage.deliver(2, *has)
        await stage.connector.list_mailboxes()
        result = await expunge(stage, mailbox, ref)
        assert told_holders(result, ref) == holders(after)
        assert labels(stage, ref) == after
        assert labels(stage, other) == has, "exactly those that are named"
        assert ref not in await stage.probe(mailbox).refs()


@pytest.mark.parametrize("count", [3, 30])
@pytest.mark.parametrize(("setting", "last"), [("archive", set()), ("trash", {"TRASH"}), ("delete", GONE)])
async def test_many_are_expunged_at_once(setting: str, last: set[str] | None, count: int) -> None:
    async with staged(expunge=setting) as stage:
        stage.fake.new_label("Work")
        only = [stage.deliver(number, "INBOX") for number in range(count)]
        both = [stage.deliver(number + 100, "INBOX", WORK) for number in range(count)]
        gone = stage.deliver(99, "INBOX")
        await stage.connector.list_mailboxes()
        await stage.probe().listing()
        stage.fake.delete(gone)
        result = await expunge(stage, "INBOX", *only, *both, gone)
        assert result.done.keys() == {*only, *both}
        assert result.missing == {gone}
        assert all(labels(stage, ref) == last for ref in only)
        for ref in only:
            assert told_holders(result, ref) == holders(last)
        for ref in both:
            assert told_holders(result, ref) == holders({WORK})
        assert all(labels(stage, ref) == {WORK} for ref in both)


@pytest.mark.parametrize("mailbox", ["TRASH", "SPAM"])
@pytest.mark.parametrize("count", [2, 20])
async def test_without_the_scope_nothing_is_deleted_for_good(mailbox: str, count: int) -> None:
    async with staged(scopes=[MODIFY_SCOPE]) as stage:
        refs = [stage.deliver(number, mailbox) for number in range(count)]
        result = await expunge(stage, mailbox, *refs)
        assert result.failed.keys() == set(refs)
        for error in result.failed.values():
            assert isinstance(error, Denied)
            assert "does not include deleting" in error.client_text
            assert "https://mail.google.com/" in error.operator_text
        assert all(labels(stage, ref) == {mailbox} for ref in refs)


async def test_without_the_scope_the_last_label_stays_where_it_is_to_be_deleted() -> None:
    async with staged(scopes=[MODIFY_SCOPE], expunge="delete") as stage:
        ref = stage.deliver(1, "INBOX")
        result = await expunge(stage, "INBOX", ref)
        assert isinstance(result.failed[ref], Denied)
        assert labels(stage, ref) == {"INBOX"}


async def test_what_was_just_taken_out_of_trash_is_not_deleted() -> None:
    async with staged() as stage:
        kept, thrown = stage.deliver(1, "TRASH"), stage.deliver(2, "TRASH")
        async for _ in stage.connector.list_account():
            pass
        stage.fake.relabel(kept, add={"INBOX"}, remove={"TRASH"})
        result = await expunge(stage, "TRASH", kept, thrown)
        assert result.missing == {kept}
        assert result.done.keys() == {thrown}
        assert labels(stage, kept) == {"INBOX"}


async def test_deleting_many_for_good_costs_no_reading_where_labels_are_known() -> None:
    async with staged() as stage:
        refs = [stage.deliver(number, "TRASH") for number in range(40)]
        async for _ in stage.connector.list_account():
            pass
        stage.clear()
        await expunge(stage, "TRASH", *refs)
        assert stage.units == 52
        assert not stage.fake.mailbox.messages


@pytest.mark.parametrize(("setting", "after"), [("archive", GONE), ("trash", {"DRAFT", "TRASH"}), ("delete", GONE)])
async def test_a_draft_is_discarded_or_thrown_away(setting: str, after: set[str] | None) -> None:
    async with staged(expunge=setting) as stage:
        draft = stage.fake.new_draft(mail(1))
        ref = MessageRef(stage.fake.mailbox.messages[stage.fake.mailbox.drafts[draft]].id)
        result = await expunge(stage, "DRAFT", ref)
        assert told_holders(result, ref) == holders(after)
        assert labels(stage, ref) == after


async def test_a_draft_that_was_changed_meanwhile_is_not_discarded() -> None:
    async with staged() as stage:
        draft = stage.fake.new_draft(mail(1))
        old = MessageRef(stage.fake.mailbox.messages[stage.fake.mailbox.drafts[draft]].id)
        new = MessageRef(stage.fake.new_draft_revision(draft, mail(2)))
        result = await expunge(stage, "DRAFT", old)
        assert result.missing == {old}
        assert labels(stage, new) == {"DRAFT"}


async def test_what_is_elsewhere_now_is_missing_and_stays_there() -> None:
    async with staged() as stage:
        stage.fake.new_label("Work")
        ref = stage.deliver(1, WORK)
        async for _ in stage.connector.list_account():
            pass
        result = await expunge(stage, "INBOX", ref)
        assert result.missing == {ref}
        assert labels(stage, ref) == {WORK}


async def test_messages_can_be_expunged_as_soon_as_they_are_marked() -> None:
    async with staged(auto_expunge=True) as stage:
        assert stage.connector.capabilities.has_deleted_flag
        assert all(DELETED in info.storable_flags for info in await stage.connector.list_mailboxes())
        stage.fake.new_label("Work")
        ref, other, gone = (
            stage.deliver(1, "INBOX", WORK, "UNREAD"),
            stage.deliver(2, "INBOX"),
            stage.deliver(3, "INBOX"),
        )
        stage.fake.delete(gone)
        await stage.connector.list_mailboxes()
        mailbox = MailboxRef("INBOX")
        result = await stage.connector.store_flags(mailbox, [ref, gone], frozenset({DELETED, SEEN}), frozenset())
        assert told_holders(result, ref) == holders({WORK})
        assert result.missing == {gone}
        assert labels(stage, ref) == {WORK}
        result = await stage.connector.store_flags(mailbox, [other], frozenset(), frozenset({DELETED}))
        assert result.done.keys() == {other}
        assert labels(stage, other) == {"INBOX"}


async def test_what_is_deleted_for_good_as_soon_as_it_is_marked_is_told_to_be_nowhere() -> None:
    async with staged(auto_expunge=True, expunge="delete") as stage:
        stage.fake.new_label("Work")
        last, trashed, filed = stage.deliver(1, "INBOX"), stage.deliver(2, "TRASH"), stage.deliver(3, WORK)
        await stage.connector.list_mailboxes()
        for mailbox, ref in (("INBOX", last), ("TRASH", trashed), (WORK, filed)):
            result = await stage.connector.store_flags(MailboxRef(mailbox), [ref], frozenset({DELETED}), frozenset())
            assert told_holders(result, ref) == frozenset()
            assert not result.missing
        assert stage.fake.mailbox.index.count(None) == 0


async def test_marking_as_deleted_is_not_stored_otherwise() -> None:
    async with staged() as stage:
        assert not stage.connector.capabilities.has_deleted_flag
        assert not any(DELETED in info.storable_flags for info in await stage.connector.list_mailboxes())
