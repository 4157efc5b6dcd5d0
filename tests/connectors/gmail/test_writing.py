"""Flags, COPY and MOVE: what each verb does in each kind of mailbox, cell by cell, and what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest

from connectors.api.errors import Denied, NotFound, Unsupported
from connectors.api.types import DRAFT, FLAGGED, SEEN, BatchResult, MailboxRef, MessageRef
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import Stage, staged, told
from tests.fakes.gmail.options import FakeOptions, Quirks

NONE: frozenset[str] = frozenset()
WORK = "Label_1"
PLAY = "Label_2"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        assert made.fake.new_label("Work") == WORK
        assert made.fake.new_label("Play") == PLAY
        yield made


async def copy(stage: Stage, refs: list[MessageRef], source: str, destination: str) -> BatchResult:
    return await stage.connector.copy(MailboxRef(source), refs, MailboxRef(destination))


async def move(stage: Stage, refs: list[MessageRef], source: str, destination: str) -> BatchResult:
    return await stage.connector.move(MailboxRef(source), refs, MailboxRef(destination))


async def store(stage: Stage, refs: list[MessageRef], add: Iterable[str], remove: Iterable[str] = ()) -> BatchResult:
    return await stage.connector.store_flags(MailboxRef("INBOX"), refs, frozenset(add), frozenset(remove))


# -- COPY -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "source", "destination", "gets"),
    [
        # To an ordinary mailbox: the label is added.
        ({"INBOX"}, "INBOX", WORK, {"INBOX", WORK}),
        ({WORK}, WORK, "INBOX", {WORK, "INBOX"}),
        ({"INBOX", WORK}, "INBOX", WORK, {"INBOX", WORK}),
        ({"SENT"}, "SENT", WORK, {"SENT", WORK}),
        (set(), "ALL", WORK, {WORK}),
        ({"INBOX"}, "INBOX", "IMPORTANT", {"INBOX", "IMPORTANT"}),
        # Starred is a view of \Flagged.
        ({"INBOX"}, "INBOX", "STARRED", {"INBOX", "STARRED"}),
        # To All Mail: it is there already.
        ({"INBOX"}, "INBOX", "ALL", {"INBOX"}),
        ({WORK}, WORK, "ALL", {WORK}),
        # To Trash and Spam: the other places are left, and labels stay, though nobody sees them there.
        ({"INBOX", WORK}, "INBOX", "TRASH", {"TRASH", WORK}),
        ({WORK}, WORK, "SPAM", {"SPAM", WORK}),
        # Out of Trash and Spam: nobody is there and elsewhere.
        ({"TRASH"}, "TRASH", WORK, {WORK}),
        ({"SPAM"}, "SPAM", "INBOX", {"INBOX"}),
        ({"TRASH", WORK}, "TRASH", "ALL", {WORK}),
        ({"SPAM"}, "SPAM", "TRASH", {"TRASH"}),
        # To itself.
        ({WORK}, WORK, WORK, {WORK}),
    ],
)
async def test_copy(stage: Stage, has: set[str], source: str, destination: str, gets: set[str]) -> None:
    ref = stage.deliver(1, *has)
    await stage.probe(source).listing()
    result = await copy(stage, [ref], source, destination)
    assert stage.has(ref) == gets
    assert result.done.keys() == {ref}
    assert destination in told(await stage.probe(destination).state(ref))[0]


@pytest.mark.parametrize("destination", ["ALL", "INBOX"])
async def test_a_copy_to_where_it_is_asks_nothing(stage: Stage, destination: str) -> None:
    ref = stage.deliver(1, "INBOX")
    await copy(stage, [ref], "INBOX", destination)
    assert stage.units == 0


@pytest.mark.parametrize("source", ["SENT", "DRAFT"])
async def test_a_move_to_all_mail_tells_that_messages_stay(stage: Stage, source: str) -> None:
    ref = stage.deliver(1, source)
    result = await move(stage, [ref], source, "ALL")
    assert told(result.done[ref])[0] == ["ALL", source]


@pytest.mark.parametrize("verb", [copy, move])
async def test_what_was_seen_to_go_is_not_told_to_be_there(
    stage: Stage, verb: Callable[..., Awaitable[BatchResult]]
) -> None:
    kept, left, gone = refs = stage.fill(3, WORK)
    cursor = await stage.probe().position()
    stage.fake.delete(gone)
    stage.fake.relabel(left, remove={WORK}, add={"TRASH"})
    async for _ in stage.connector.changes(None, cursor):
        pass
    for destination in (WORK, "ALL") if verb is copy else (WORK,):
        result = await verb(stage, refs, WORK, destination)
        assert (list(result.done), sorted(result.missing)) == ([kept], [left, gone])
    result = await verb(stage, refs, "ALL", "ALL")
    assert (list(result.done), sorted(result.missing)) == ([kept], [left, gone])


@pytest.mark.parametrize("destination", ["SENT", "DRAFT"])
@pytest.mark.parametrize("verb", [copy, move])
async def test_nothing_can_be_put_into_sent_mail_or_drafts(stage: Stage, destination: str, verb: object) -> None:
    ref, there = stage.deliver(1, "INBOX"), stage.deliver(2, "INBOX", destination)
    assert callable(verb)
    result = await verb(stage, [ref, there], "INBOX", destination)
    assert isinstance(result.failed[ref], Unsupported)
    assert result.done.keys() == {there}
    assert stage.has(ref) == {"INBOX"}
    assert stage.has(there) == ({"INBOX", destination} if verb is copy else {destination})


# -- MOVE -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "source", "destination", "gets"),
    [
        # Between ordinary mailboxes.
        ({"INBOX"}, "INBOX", WORK, {WORK}),
        ({WORK, PLAY}, WORK, "INBOX", {PLAY, "INBOX"}),
        ({WORK, PLAY}, WORK, PLAY, {PLAY}),
        # To All Mail: archived.
        ({"INBOX", WORK}, "INBOX", "ALL", {WORK}),
        ({WORK}, WORK, "ALL", set()),
        # To Trash and Spam, as Gmail's own "Delete" and "Report spam".
        ({"INBOX", WORK}, "INBOX", "TRASH", {"TRASH", WORK}),
        ({"INBOX", WORK}, WORK, "TRASH", {"TRASH", WORK}),
        ({"INBOX"}, "INBOX", "SPAM", {"SPAM"}),
        (set(), "ALL", "TRASH", {"TRASH"}),
        ({"SENT"}, "SENT", "TRASH", {"SENT", "TRASH"}),
        ({"DRAFT"}, "DRAFT", "TRASH", {"DRAFT", "TRASH"}),
        # Out of Trash and Spam.
        ({"TRASH", WORK}, "TRASH", "INBOX", {"INBOX", WORK}),
        ({"SPAM"}, "SPAM", WORK, {WORK}),
        ({"SPAM"}, "SPAM", "TRASH", {"TRASH"}),
        ({"TRASH"}, "TRASH", "ALL", set()),
        # All Mail and Sent Mail keep what they have.
        ({"INBOX"}, "ALL", WORK, {"INBOX", WORK}),
        ({"SENT"}, "SENT", WORK, {"SENT", WORK}),
        ({"SENT"}, "SENT", "ALL", {"SENT"}),
        # Starred is a view of \Flagged.
        ({"INBOX"}, "INBOX", "STARRED", {"STARRED"}),
        ({"INBOX", "STARRED"}, "STARRED", WORK, {"INBOX", WORK}),
        # To itself.
        ({WORK}, WORK, WORK, {WORK}),
    ],
)
async def test_move(stage: Stage, has: set[str], source: str, destination: str, gets: set[str]) -> None:
    ref = stage.deliver(1, *has)
    result = await move(stage, [ref], source, destination)
    assert stage.has(ref) == gets
    assert result.done.keys() == {ref}
    assert destination in told(await stage.probe(destination).state(ref))[0]


async def test_a_draft_cannot_be_filed(stage: Stage) -> None:
    ref = MessageRef(stage.fake.mailbox.messages[stage.fake.mailbox.drafts[stage.fake.new_draft(mail(1))]].id)
    for verb in (copy, move):
        result = await verb(stage, [ref], "DRAFT", WORK)
        assert isinstance(result.failed[ref], Denied)
        assert "drafts" in result.failed[ref].client_text
    assert stage.has(ref) == {"DRAFT"}


async def test_a_mailbox_that_was_deleted_is_not_found(stage: Stage) -> None:
    ref = stage.deliver(1, "INBOX")
    stage.fake.delete_label(WORK)
    with pytest.raises(NotFound):
        await copy(stage, [ref], "INBOX", WORK)
    with pytest.raises(NotFound):
        await move(stage, [ref], WORK, "INBOX")
    assert stage.has(ref) == {"INBOX"}


# -- STORE ------------------------------------------------------------------------------------------------------------


async def test_flags_are_the_message_s_in_whatever_mailbox(stage: Stage) -> None:
    ref = stage.deliver(1, "INBOX", WORK, "UNREAD")
    replica = stage.probe(WORK).replica()
    await replica.begin()
    result = await store(stage, [ref], {SEEN, FLAGGED})
    assert told(result.done[ref]) == (["ALL", "INBOX", WORK, "STARRED"], [FLAGGED, SEEN])
    assert stage.has(ref) == {"INBOX", WORK, "STARRED"}
    await replica.catch_up()
    assert replica.flags == {ref: {SEEN, FLAGGED}}
    result = await store(stage, [ref], (), {SEEN, FLAGGED})
    assert told(result.done[ref])[1] == []
    assert stage.has(ref) == {"INBOX", WORK, "UNREAD"}


@pytest.mark.parametrize("where", ["INBOX", "ALL", "TRASH", "SPAM"])
async def test_flags_are_stored_in_each_kind_of_mailbox(stage: Stage, where: str) -> None:
    ref = stage.deliver(1, *({where} - {"ALL"}), "UNREAD")
    mailbox = MailboxRef(where)
    result = await stage.connector.store_flags(mailbox, [ref], frozenset({SEEN}), NONE)
    assert told(result.done[ref])[1] == [SEEN]
    assert "UNREAD" not in stage.has(ref)


async def test_a_thousand_messages_are_marked_as_read_by_one_call(stage: Stage) -> None:
    refs = stage.fill(1000, "INBOX", "UNREAD")
    stage.clear()
    result = await store(stage, refs, {SEEN})
    assert stage.units == 50
    assert stage.calls("messages.batchModify") == 1
    assert result.done.keys() == set(refs)
    assert not any("UNREAD" in stage.has(ref) for ref in refs)


async def test_many_states_are_told_without_reading_a_message(stage: Stage) -> None:
    refs = stage.fill(20, "INBOX", "UNREAD")
    async for _ in stage.connector.list_account():
        pass
    stage.clear()
    result = await store(stage, refs, {SEEN, FLAGGED})
    assert all(told(result.done[ref]) == (["ALL", "INBOX", "STARRED"], [FLAGGED, SEEN]) for ref in refs)
    assert stage.units == 50


async def test_what_is_not_known_of_many_messages_is_not_claimed(stage: Stage) -> None:
    refs = stage.fill(20, "INBOX", "UNREAD")
    result = await store(stage, refs, {SEEN})
    assert all(state is not None and state.flags is None for state in result.done.values())


@pytest.mark.parametrize("count", [2, 11])
async def test_copies_and_moves_name_what_is_gone_however_many(stage: Stage, count: int) -> None:
    refs = stage.fill(count, "INBOX")
    await stage.probe().listing()
    stage.fake.delete(refs[0])
    stage.clear()
    result = await copy(stage, refs, "INBOX", WORK)
    assert result.missing == {refs[0]}
    assert result.done.keys() == set(refs[1:])
    # The labels are listed too, one of them being new.
    assert stage.units <= 53
    stage.fake.delete(refs[1])
    result = await move(stage, refs, "INBOX", PLAY)
    assert result.missing == set(refs[:2])
    assert result.done.keys() == set(refs[2:])


async def test_an_id_that_cannot_be_is_missing(stage: Stage) -> None:
    result = await store(stage, [MessageRef("no-such-id")], {SEEN})
    assert result.missing == {"no-such-id"}


@pytest.mark.parametrize("count", [3, 20])
async def test_a_draft_among_others_does_not_hold_them_up(stage: Stage, count: int) -> None:
    refs = stage.fill(count, "UNREAD")
    draft = MessageRef(stage.fake.message(next(iter(_draft_messages(stage)))).id)
    mailbox = MailboxRef("ALL")
    result = await stage.connector.store_flags(mailbox, [*refs, draft], frozenset({FLAGGED}), frozenset())
    assert result.done.keys() == set(refs)
    assert isinstance(result.failed[draft], Denied)
    assert all("STARRED" in stage.has(ref) for ref in refs)
    result = await stage.connector.store_flags(mailbox, [*refs, draft], frozenset({SEEN}), frozenset())
    assert result.done.keys() == {*refs, draft}


def _draft_messages(stage: Stage) -> list[str]:
    draft = stage.fake.new_draft(mail(999))
    return [stage.fake.mailbox.messages[stage.fake.mailbox.drafts[draft]].id]


async def test_a_draft_can_be_flagged_where_gmail_lets_it() -> None:
    async with staged(FakeOptions(quirks=Quirks(drafts_take_labels=True))) as stage:
        (draft,) = map(MessageRef, _draft_messages(stage))
        result = await stage.connector.store_flags(MailboxRef("ALL"), [draft], frozenset({FLAGGED}), frozenset())
        assert told(result.done[draft])[1] == [DRAFT, FLAGGED, SEEN]


@pytest.mark.parametrize("where", ["DRAFT", "ALL"])
async def test_that_a_draft_is_one_cannot_be_changed_and_is_told(stage: Stage, where: str) -> None:
    (draft,) = map(MessageRef, _draft_messages(stage))
    stage.clear()
    result = await stage.connector.store_flags(MailboxRef(where), [draft], NONE, frozenset({DRAFT}))
    assert told(result.done[draft])[1] == [DRAFT, SEEN]
    # Its labels, which were not known: a client that takes the flag off would be told that it is gone.
    assert stage.units == 20
    stage.clear()
    result = await stage.connector.store_flags(MailboxRef(where), [draft], NONE, frozenset({DRAFT}))
    assert told(result.done[draft])[1] == [DRAFT, SEEN]
    assert stage.units == 0


async def test_nothing_becomes_a_draft_by_being_called_one(stage: Stage) -> None:
    refs = stage.fill(11, "UNREAD")
    gone = stage.deliver(11)
    stage.fake.delete(gone)
    result = await stage.connector.store_flags(MailboxRef("ALL"), [*refs, gone], frozenset({SEEN, DRAFT}), NONE)
    assert {ref: told(state)[1] for ref, state in result.done.items()} == {ref: [SEEN] for ref in refs}
    assert result.missing == {gone}
